// The folder of pictures: each is drawn in a work folder inside it and renamed when it is whole.

#include "tools/hakplot/draw.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
  char name[512];
  FILE* file = fopen(hp_format("%s/%s", output->folder, kMade), "re");
  while (file != NULL && fgets(name, sizeof(name), file) != NULL) {
    name[strcspn(name, "\n")] = '\0';
    bool is_own = strchr(name, '/') == NULL && name[0] != '\0';
    if (is_own) unlink(hp_format("%s/%s", output->folder, name));
  }
  if (file != NULL) fclose(file);
}

// ---- files ----

bool hp_output_open(hp_output* output, const char* folder, unsigned formats) {
  *output = (hp_output){.folder = folder, .formats = formats};
  if (!places_make_folders(folder)) return fail(output, "make the folder", folder);
  output->work = hp_format("%s/.hakplot-XXXXXX", folder);
  if (mkdtemp(output->work) == NULL) {
    output->work = NULL;
    return fail(output, "write in", folder);
  }
  catch_signals();
  remove_stale(output);
  return true;
}

FILE* hp_output_begin(hp_output* output, const char* name) {
  char* path = hp_format("%s/%s", output->work, name);
  FILE* file = fopen(path, "we");
  if (file == NULL) fail(output, "write", path);
  return file;
}

// Closes it; false where not all of it was written.
static bool end_file(hp_output* output, FILE* file, const char* name) {
  if (file == NULL) return false;
  bool is_whole = !ferror(file);
  is_whole = fclose(file) == 0 && is_whole;
  return is_whole || fail(output, "write", hp_format("%s/%s", output->work, name));
}

// Gives a finished file of the work folder its place.
static bool publish(hp_output* output, const char* name) {
  const char* from = hp_format("%s/%s", output->work, name);
  const char* to = hp_format("%s/%s", output->folder, name);
  if (rename(from, to) != 0) return fail(output, "write", to);
  *hp_push(output->made, output->made_count) = hp_copy(name, strlen(name));
  return true;
}

bool hp_output_end(hp_output* output, FILE* file, const char* name) {
  return end_file(output, file, name) && publish(output, name);
}

// What gnuplot wrote into a file of the work folder; NULL: there is none.
static char* read_back(const hp_output* output, const char* name, size_t* size) {
  struct stat status;
  FILE* file = fopen(hp_format("%s/%s", output->work, name), "re");
  if (file == NULL) return NULL;
  *size = fstat(fileno(file), &status) == 0 ? (size_t)status.st_size : 0;
  char* content = hp_alloc(*size + 1);
  *size = fread(content, 1, *size, file);
  fclose(file);
  return content;
}

// ---- pictures ----

static const struct {
  unsigned format;
  const char* ending;
  const char* last;  // what a whole picture ends with: gnuplot ends well although the disk is full
} kPictures[] = {{HP_SVG, "svg", "</svg>\n\n"},
                 {HP_PNG, "png", "IEND\xae\x42\x60\x82"},
                 {HP_PDF, "pdf", "%%EOF\n"}};

// Runs the script of these formats in the work folder. gnuplot's message goes to stderr.
static bool run_script(hp_output* output, const hp_figure* figure, unsigned formats) {
  const char* name = hp_format("%s.gp", figure->name);
  FILE* script = hp_output_begin(output, name);
  size_t size;
  if (script != NULL) hp_gnuplot_script(figure, formats, script);
  if (!end_file(output, script, name)) return false;
  const char* wrong = hp_gnuplot_run(output->work, name, "message");
  char* message = read_back(output, "message", &size);
  if (wrong == NULL) return true;
  fprintf(stderr, "hakplot: %s not drawn: %s\n", figure->name, size > 0 ? message : wrong);
  return false;
}

// Gives the pictures their places where they are whole, and the SVG also to `svg`.
static bool publish_pictures(hp_output* output, const hp_figure* figure, const char** svg) {
  bool is_good = true;
  for (size_t i = 0; i < sizeof(kPictures) / sizeof(kPictures[0]); i++) {
    bool is_wanted = (output->formats & kPictures[i].format) != 0;
    bool is_svg = kPictures[i].format == HP_SVG;
    if (!is_wanted && !is_svg) continue;
    size_t last = strlen(kPictures[i].last);
    size_t size;
    const char* name = hp_format("%s.%s", figure->name, kPictures[i].ending);
    const char* content = read_back(output, name, &size);
    bool is_whole = content != NULL && size >= last &&
                    memcmp(content + size - last, kPictures[i].last, last) == 0;
    if (!is_whole) {
      fprintf(stderr, "hakplot: %s/%s was not written whole: is the disk full?\n", output->folder,
              name);
    }
    is_good &= is_whole && (!is_wanted || publish(output, name));
    if (is_svg) *svg = content;
  }
  return is_good;
}

const char* hp_output_draw(hp_output* output, const hp_figure* figure) {
  const char* svg = NULL;
  const char* name = hp_format("%s.csv", figure->name);
  FILE* numbers = hp_output_begin(output, name);
  if (numbers != NULL) hp_figure_csv(figure, numbers);
  bool is_good = hp_output_end(output, numbers, name);
  // The page needs an SVG, wanted as a file or not; the script that stays draws what is wanted.
  bool is_drawn = (output->formats & HP_SVG) != 0 || run_script(output, figure, HP_SVG);
  is_drawn = run_script(output, figure, output->formats) && is_drawn;
  is_drawn = is_drawn && publish_pictures(output, figure, &svg);
  is_good &= publish(output, hp_format("%s.gp", figure->name));
  if (!is_drawn || !is_good) output->has_failed = true;
  return is_drawn ? svg : NULL;
}

// Empties and removes the work folder: what is left there is of pictures that failed.
void hp_output_close(hp_output* output) {
  if (output->work == NULL) return;
  FILE* made = hp_output_begin(output, kMade);
  for (size_t i = 0; made != NULL && i < output->made_count; i++) {
    fprintf(made, "%s\n", output->made[i]);
  }
  hp_output_end(output, made, kMade);
  DIR* folder = opendir(output->work);
  for (struct dirent* entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    unlinkat(dirfd(folder), entry->d_name, 0);
  }
  if (folder != NULL) closedir(folder);
  rmdir(output->work);
  release_signals();
}
