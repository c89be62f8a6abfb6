// The screen: ncurses from its start to its end, keys, the loop between two frames.

#define _GNU_SOURCE  // ppoll
#define NCURSES_WIDECHAR 1
#include "tools/haktop/screen.h"

#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>
#undef columns  // term.h has macros of many short names

// ---- signals: blocked but while the program waits for input, so none comes at a bad time ----

static volatile sig_atomic_t end_signal;
static volatile sig_atomic_t is_resized;

static void on_end(int signal) { end_signal = signal; }
static void on_resize(int signal) {
  (void)signal;
  is_resized = 1;
}

static const int kEndSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

// `outside` becomes the mask to wait with. Before ncurses starts, which leaves alone the signals
// that are taken.
static void take_signals(sigset_t* outside) {
  sigset_t ours;
  struct sigaction action = {.sa_handler = on_end};
  sigemptyset(&ours);
  for (size_t i = 0; i < sizeof(kEndSignals) / sizeof(kEndSignals[0]); i++) {
    sigaddset(&ours, kEndSignals[i]);
    sigaction(kEndSignals[i], &action, NULL);
  }
  action.sa_handler = on_resize;
  sigaddset(&ours, SIGWINCH);
  sigaction(SIGWINCH, &action, NULL);
  sigprocmask(SIG_BLOCK, &ours, outside);
  // Whoever started us may have blocked them.
  for (size_t i = 0; i < sizeof(kEndSignals) / sizeof(kEndSignals[0]); i++) {
    sigdelset(outside, kEndSignals[i]);
  }
  sigdelset(outside, SIGWINCH);
}

// ---- drawing ----

static attr_t looks[HT_N_STYLES];

// Colour where the terminal has it and the user does not refuse it (NO_COLOR, not empty); bold and
// reverse either way.
static void choose_looks(void) {
  const char* no_color = getenv("NO_COLOR");
  looks[HT_PLAIN] = A_NORMAL;
  looks[HT_LABEL] = A_NORMAL;
  looks[HT_HEADING] = A_BOLD;
  looks[HT_SELECTED] = A_REVERSE;
  looks[HT_BAR] = A_NORMAL;
  looks[HT_WARNING] = A_BOLD;
  if ((no_color != NULL && no_color[0] != '\0') || !has_colors()) return;
  start_color();
  use_default_colors();
  init_pair(1, COLOR_CYAN, -1);
  init_pair(2, COLOR_GREEN, -1);
  init_pair(3, COLOR_RED, -1);
  looks[HT_LABEL] = (attr_t)COLOR_PAIR(1);
  looks[HT_BAR] = (attr_t)COLOR_PAIR(2);
  looks[HT_WARNING] |= (attr_t)COLOR_PAIR(3);
}

// Shows the canvas and frees it.
static void put_canvas(ht_canvas canvas) {
  erase();
  for (int row = 0; row < canvas.rows; row++) {
    const ht_cell* cells = ht_canvas_row(&canvas, row);
    for (int column = 0; column < canvas.columns; column++) {
      if (cells[column].rune == 0) continue;
      if (cells[column].rune == L' ' && cells[column].style != HT_SELECTED) continue;
      attrset((int)looks[cells[column].style]);
      mvaddnwstr(row, column, &cells[column].rune, 1);
    }
  }
  ht_canvas_free(&canvas);
  refresh();
}

static void draw(ht_watch* watch, ht_view* view, bool has_utf8) {
  ht_canvas canvas = ht_canvas_new(LINES, COLS, has_utf8);
  ht_view_draw(view, &watch->model, &canvas);
  put_canvas(canvas);
}

static void resize(void) {
  struct winsize size;
  is_resized = 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
    resizeterm(size.ws_row, size.ws_col);
  }
  // What the terminal made of the old frame is not known.
  clearok(curscr, TRUE);
}

// ---- keys ----

static void change_interval(ht_view* view, bool is_longer) {
  static const double kIntervals[] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60};
  enum { N_INTERVALS = sizeof(kIntervals) / sizeof(kIntervals[0]) };
  int at = is_longer ? 0 : N_INTERVALS - 1;
  while (at >= 0 && at < N_INTERVALS &&
         (is_longer ? kIntervals[at] <= view->interval_s : kIntervals[at] >= view->interval_s)) {
    at += is_longer ? 1 : -1;
  }
  if (at >= 0 && at < N_INTERVALS) view->interval_s = kIntervals[at];
}

static void show_pane(ht_view* view, int pane) {
  view->pane = (ht_pane)pane;
  view->scroll = 0;
}

static void sort_by(ht_view* view, int step) {
  int n = ht_view_class_columns(COLS);
  if (n == 0) return;
  view->sort = (ht_class_column)(((int)view->sort + step + n) % n);
  view->scroll = 0;
}

static bool take_scroll_key(ht_view* view, int key) {
  const int page = LINES > HT_MIN_ROWS ? LINES - 9 : 1;    // what the frame leaves a list
  const int end = HAK_N_CLASSES + HAK_SHARED_PAGE_EVENTS;  // beyond any end
  int step = key == KEY_UP || key == 'k'      ? -1
             : key == KEY_DOWN || key == 'j'  ? 1
             : key == KEY_PPAGE               ? -page
             : key == KEY_NPAGE || key == ' ' ? page
             : key == KEY_HOME                ? -view->scroll
             : key == KEY_END                 ? end
                                              : 0;
  view->scroll += step;
  return step != 0 || key == KEY_HOME;
}

// False when the user quits.
static bool take_key(ht_view* view, int key) {
  if (key == 'q' || key == 'Q') return false;
  bool had_help = view->has_help;
  view->has_help = false;
  if (had_help && (key == 'h' || key == '?' || key == 27)) return true;
  if (take_scroll_key(view, key)) return true;
  if (key >= '1' && key < '1' + HT_N_PANES) show_pane(view, key - '1');
  switch (key) {
    case '\t':
      show_pane(view, (int)(view->pane + 1) % HT_N_PANES);
      break;
    case KEY_BTAB:
      show_pane(view, (int)(view->pane + HT_N_PANES - 1) % HT_N_PANES);
      break;
    case 's':
    case '>':
      sort_by(view, 1);
      break;
    case 'S':
    case '<':
      sort_by(view, -1);
      break;
    case 'r':
      view->is_reversed = !view->is_reversed;
      break;
    case 'p':
      view->is_paused = !view->is_paused;
      break;
    case '+':
    case '=':
      change_interval(view, true);
      break;
    case '-':
      change_interval(view, false);
      break;
    case 'h':
    case '?':
      view->has_help = true;
      break;
    case 12:  // Ctrl-L: something else has written on the screen
      clearok(curscr, TRUE);
      break;
    default:
      break;
  }
  return true;
}

// ---- the loop ----

typedef enum input { NO_INPUT, INPUT, INPUT_ENDED } input;

// Waits for a key, a signal, or the time of the next frame.
static input wait_for_input(double until_s, const sigset_t* mask) {
  double left_s = until_s - ht_now_s();
  if (left_s < 0) left_s = 0;
  struct timespec timeout = {(time_t)left_s, (long)((left_s - (double)(time_t)left_s) * 1e9)};
  struct pollfd terminal = {STDIN_FILENO, POLLIN, 0};
  if (ppoll(&terminal, 1, &timeout, mask) <= 0) return NO_INPUT;
  return (terminal.revents & POLLIN) != 0 ? INPUT : INPUT_ENDED;
}

// False when the user quits.
static bool take_keys(ht_view* view) {
  for (int key; (key = getch()) != ERR;) {
    if (!take_key(view, key)) return false;
  }
  return true;
}

static void show(ht_watch* watch, ht_view* view, bool has_utf8, const sigset_t* mask) {
  double next_s = ht_now_s() + view->interval_s;
  while (end_signal == 0) {
    if (is_resized) resize();
    draw(watch, view, has_utf8);
    double interval_s = view->interval_s;
    switch (wait_for_input(next_s, mask)) {
      case INPUT:
        if (!take_keys(view)) return;
        break;
      case INPUT_ENDED:
        return;
      case NO_INPUT:
        break;
    }
    // A shorter interval holds at once.
    next_s += view->interval_s - interval_s;
    if (ht_now_s() < next_s) continue;
    next_s = ht_now_s() + view->interval_s;
    if (!view->is_paused && watch->model.status != HT_ENDED) ht_watch_sample(watch);
  }
}

// Whether the terminal is known and has a cursor that can be moved: without, ncurses would write
// one line over and over.
static bool can_draw(void) {
  int is_known = 0;
  if (setupterm(NULL, STDOUT_FILENO, &is_known) != OK) return false;
  bool has_cursor = tigetstr("cup") != NULL;
  del_curterm(cur_term);
  return has_cursor;
}

// Takes the terminal. NULL with a message where it cannot be drawn on.
static SCREEN* open_screen(sigset_t* mask) {
  end_signal = 0;
  take_signals(mask);
  SCREEN* screen = can_draw() ? newterm(NULL, stdout, stdin) : NULL;
  if (screen == NULL) {
    const char* term = getenv("TERM");
    fprintf(stderr, "haktop: cannot draw on this terminal (TERM=%s); --once prints a frame\n",
            term != NULL ? term : "");
    return NULL;
  }
  cbreak();
  noecho();
  nonl();
  curs_set(0);
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  set_escdelay(25);
  choose_looks();
  return screen;
}

// Gives it back. Returns the exit code.
static int close_screen(SCREEN* screen, const sigset_t* mask) {
  endwin();
  delscreen(screen);
  sigprocmask(SIG_SETMASK, mask, NULL);
  return end_signal == 0 || end_signal == SIGINT ? 0 : 128 + end_signal;
}

int ht_screen_run(ht_watch* watch, ht_view* view, bool has_utf8) {
  sigset_t mask;
  SCREEN* screen = open_screen(&mask);
  if (screen == NULL) return 1;
  show(watch, view, has_utf8, &mask);
  return close_screen(screen, &mask);
}

// ---- the list ----

typedef struct list {
  ht_found* found;
  size_t count;
  pid_t selected;
  ht_found_column sort;
  bool is_reversed;
} list;

// Where the selected process stands; the first where it is gone.
static size_t selected_index(list* self) {
  size_t i = 0;
  while (i < self->count && self->found[i].pid != self->selected) i++;
  if (i == self->count) i = 0;
  self->selected = self->count > 0 ? self->found[i].pid : 0;
  return i;
}

static void look_again(list* self) {
  free(self->found);
  self->found = ht_find_all(self->sort, self->is_reversed, &self->count);
}

static void draw_list(list* self, bool has_utf8) {
  ht_canvas canvas = ht_canvas_new(LINES, COLS, has_utf8);
  size_t selected = selected_index(self);
  size_t room = canvas.rows > 3 ? (size_t)canvas.rows - 2 : 1;
  size_t first = selected >= room ? selected - room + 1 : 0;
  ht_put_found(&canvas, 0, HT_HEADING, NULL, self->sort, self->is_reversed);
  for (size_t i = 0; i < room && first + i < self->count; i++) {
    bool is_selected = first + i == selected;
    ht_put_found(&canvas, 1 + (int)i, is_selected ? HT_SELECTED : HT_PLAIN, &self->found[first + i],
                 self->sort, false);
    if (is_selected) ht_put_sign(&canvas, 1 + (int)i, 0, HT_SELECTED, L'>', '>');
  }
  if (self->count == 0) {
    ht_put(&canvas, 1, 0, canvas.columns, HT_PLAIN,
           "none yet: start one with HAKMEM_TELEMETRY_SHM=1 and hakmem as its malloc");
  }
  ht_put(&canvas, canvas.rows - 1, 0, canvas.columns, HT_LABEL,
         "Enter watch  arrows select  s < > sort  r reverse  q quit");
  put_canvas(canvas);
}

// True when the user has chosen, or quits: then nothing is selected.
static bool take_list_key(list* self, int key) {
  size_t at = selected_index(self);
  switch (key) {
    case 'q':
    case 'Q':
      self->selected = 0;
      return true;
    case '\r':
    case '\n':
    case KEY_ENTER:
      return self->count > 0;
    case KEY_UP:
    case 'k':
      if (at > 0) self->selected = self->found[at - 1].pid;
      return false;
    case KEY_DOWN:
    case 'j':
      if (at + 1 < self->count) self->selected = self->found[at + 1].pid;
      return false;
    case 's':
    case '>':
      self->sort = (ht_found_column)((self->sort + 1) % HT_FOUND_N_COLUMNS);
      break;
    case 'S':
    case '<':
      self->sort = (ht_found_column)((self->sort + HT_FOUND_N_COLUMNS - 1) % HT_FOUND_N_COLUMNS);
      break;
    case 'r':
      self->is_reversed = !self->is_reversed;
      break;
    default:
      return false;
  }
  look_again(self);
  return false;
}

int ht_screen_choose(pid_t* pid, bool has_utf8) {
  sigset_t mask;
  list all = {0};
  bool is_done = false;
  SCREEN* screen = open_screen(&mask);
  *pid = 0;
  if (screen == NULL) return 1;
  for (double next_s = 0; !is_done && end_signal == 0;) {
    if (is_resized) resize();
    if (ht_now_s() >= next_s) {
      look_again(&all);
      next_s = ht_now_s() + 1;
    }
    draw_list(&all, has_utf8);
    input got = wait_for_input(next_s, &mask);
    if (got == INPUT_ENDED) all.selected = 0;
    is_done = got == INPUT_ENDED;
    for (int key; !is_done && got == INPUT && (key = getch()) != ERR;) {
      is_done = take_list_key(&all, key);
    }
  }
  if (end_signal == 0 && is_done) *pid = all.selected;
  free(all.found);
  return close_screen(screen, &mask);
}
