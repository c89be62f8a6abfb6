// The folder of pictures: each is drawn in a work folder inside it and renamed when it is whole.

#include "tools/hakplot/draw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/places.h"
#include "tools/hakplot/gnuplot.h"

static bool fail(hp_output* output, const char* what, const char* path) {
  fprintf(stderr, "hakplot: cannot %s %s: %s\n", what, path, strerror(errno));
  output->has_failed = true;
  return false;
}

// ---- signals ----

static const int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof(kSignals) / sizeof(kSignals[0]) };

static volatile sig_atomic_t interrupted;  // by this signal
static struct sigaction former[SIGNALS];

static void interrupt(int signal) { interrupted = signal; }

// A signal that whoever started us ignores (nohup) stays ignored.
static void catch_signals(void) {
  struct sigaction action = {.sa_handler = interrupt};
  for (size_t i = 0; i < SIGNALS; i++) {
    sigaction(kSignals[i], NULL, &former[i]);
    if (former[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, NULL);
  }
}

static void release_signals(void) {
  for (size_t i = 0; i < SIGNALS; i++) sigaction(kSignals[i], &former[i], NULL);
  if (interrupted != 0) raise(interrupted);
}

bool hp_output_is_interrupted(void) { return interrupted != 0; }

// ---- what the call before has left ----

// The names of the files that a call makes, one a line, in the folder: the next one takes away
// those of them that it does not make itself.
static const char kMade[] = ".made-by-hakplot";

static void remove_stale(hp_output* output) {
  hp_text path = {0};
  char name[512];
  hp_printf(&path, "%s/%s", output->folder, kMade);
  FILE* file = fopen(path.data, "re");
  while (file != NULL && fgets(name, sizeof(name), file) != NULL) {
    name[strcspn(name, "\n")] = '\0';
    if (strchr(name, '/') != NULL || name[0] == '\0') continue;
    path.size = 0;
    hp_printf(&path, "%s/%s", output->folder, name);
    unlink(path.data);
  }
  if (file != NULL) fclose(file);
  hp_text_free(&path);
}

// ---- files ----

bool hp_output_open(hp_output* output, const char* folder, unsigned formats) {
  *output = (hp_output){.folder = folder, .formats = formats};
  if (!places_make_folders(folder)) return fail(output, "make the folder", folder);
  snprintf(output->work, sizeof(output->work), "%s/.hakplot-XXXXXX", folder);
  if (mkdtemp(output->work) == NULL) {
    output->work[0] = '\0';
    return fail(output, "write in", folder);
  }
  catch_signals();
  remove_stale(output);
  return true;
}

static bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t done = write(fd, data, size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    data += done;
    size -= (size_t)done;
  }
  return true;
}

static bool write_file(hp_output* output, const char* name, const hp_text* content) {
  hp_text path = {0};
  hp_printf(&path, "%s/%s", output->work, name);
  int fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool is_good = fd >= 0 && write_all(fd, content->data, content->size);
  if (fd >= 0 && close(fd) != 0) is_good = false;
  if (!is_good) fail(output, "write", path.data);
  hp_text_free(&path);
  return is_good;
}

// Gives a finished file of the work folder its place.
static bool publish(hp_output* output, const char* name) {
  hp_text from = {0};
  hp_text to = {0};
  hp_printf(&from, "%s/%s", output->work, name);
  hp_printf(&to, "%s/%s", output->folder, name);
  bool is_good = rename(from.data, to.data) == 0 || fail(output, "write", to.data);
  if (is_good) hp_printf(&output->made, "%s\n", name);
  hp_text_free(&from);
  hp_text_free(&to);
  return is_good;
}

bool hp_output_write(hp_output* output, const char* name, const hp_text* content) {
  return write_file(output, name, content) && publish(output, name);
}

static const struct {
  unsigned format;
  const char* ending;
  const char* last;  // what a whole picture ends with
} kPictures[] = {{HP_SVG, "svg", "</svg>\n\n"},
                 {HP_PNG, "png", "IEND\xae\x42\x60\x82"},
                 {HP_PDF, "pdf", "%%EOF\n"}};
enum { PICTURES = sizeof(kPictures) / sizeof(kPictures[0]) };

static bool read_back(hp_output* output, const char* name, hp_text* content) {
  hp_text path = {0};
  char buffer[1 << 16];
  ssize_t got;
  hp_printf(&path, "%s/%s", output->work, name);
  int fd = open(path.data, O_RDONLY | O_CLOEXEC);
  hp_text_free(&path);
  if (fd < 0) return false;
  while ((got = read(fd, buffer, sizeof(buffer))) > 0) hp_put(content, buffer, (size_t)got);
  close(fd);
  return got == 0;
}

// gnuplot ends well although a full disk has cut its picture off.
static bool is_whole(hp_output* output, const char* name, const char* last, hp_text* content) {
  size_t size = strlen(last);
  if (read_back(output, name, content) && content->size >= size &&
      memcmp(content->data + content->size - size, last, size) == 0) {
    return true;
  }
  fprintf(stderr, "hakplot: %s/%s was not written whole: is the disk full?\n", output->folder,
          name);
  return false;
}

// Runs the script of these formats in the work folder. gnuplot's message goes to stderr.
static bool run_script(hp_output* output, const hp_figure* figure, unsigned formats) {
  hp_text script = {0};
  hp_text message = {0};
  char name[512];
  hp_gnuplot_script(figure, formats, &script);
  snprintf(name, sizeof(name), "%s.gp", figure->name);
  bool is_good = write_file(output, name, &script);
  if (is_good && !hp_gnuplot_run(output->work, name, NULL, &message)) {
    fprintf(stderr, "hakplot: %s not drawn: %s\n", figure->name, message.data);
    is_good = false;
  }
  hp_text_free(&script);
  hp_text_free(&message);
  return is_good;
}

// Gives the pictures their places where they are whole.
static bool publish_pictures(hp_output* output, const hp_figure* figure, hp_text* svg) {
  char name[512];
  bool is_good = true;
  for (size_t i = 0; i < PICTURES; i++) {
    hp_text content = {0};
    bool is_wanted = (output->formats & kPictures[i].format) != 0;
    bool is_svg = kPictures[i].format == HP_SVG;
    snprintf(name, sizeof(name), "%s.%s", figure->name, kPictures[i].ending);
    if (is_wanted || is_svg) {
      is_good &= is_whole(output, name, kPictures[i].last, is_svg ? svg : &content) &&
                 (!is_wanted || publish(output, name));
    }
    hp_text_free(&content);
  }
  return is_good;
}

bool hp_output_draw(hp_output* output, const hp_figure* figure, hp_text* svg) {
  hp_text numbers = {0};
  char name[512];
  hp_figure_csv(figure, &numbers);
  snprintf(name, sizeof(name), "%s.csv", figure->name);
  bool is_good = hp_output_write(output, name, &numbers);
  hp_text_free(&numbers);

  // The page needs an SVG, wanted as a file or not; the script that stays draws what is wanted.
  bool is_drawn = (output->formats & HP_SVG) != 0 || run_script(output, figure, HP_SVG);
  is_drawn = run_script(output, figure, output->formats) && is_drawn;
  is_drawn = is_drawn && publish_pictures(output, figure, svg);
  snprintf(name, sizeof(name), "%s.gp", figure->name);
  is_good &= publish(output, name);
  if (!is_drawn || !is_good) output->has_failed = true;
  return is_drawn;
}

// Empties and removes the work folder: what is left there is of pictures that failed.
void hp_output_close(hp_output* output) {
  if (output->work[0] == '\0') return;
  hp_puts(&output->made, "");
  hp_output_write(output, kMade, &output->made);
  hp_text_free(&output->made);
  DIR* folder = opendir(output->work);
  for (struct dirent* entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    unlinkat(dirfd(folder), entry->d_name, 0);
  }
  if (folder != NULL) closedir(folder);
  rmdir(output->work);
  release_signals();
}
