// The command line of hakrun, taken apart, and the experiment that `compare` stands for.

#ifndef HAKMEM_TOOLS_HAKRUN_HAKRUN_ARGUMENTS_H_
#define HAKMEM_TOOLS_HAKRUN_HAKRUN_ARGUMENTS_H_

#include <stdbool.h>

typedef struct hakrun_options {
  const char* experiment;
  char** command;    // of compare; NULL: an experiment
  const char* with;  // allocators, for compare
  const char* prepare;
  const char* rate;
  const char* rate_path;
  const char* server;
  const char* ready;
  bool wants_left;
  bool in_turn;
  int runs;  // 0: as the experiment says
  const char* save;
  const char* out;
  const char* only;
  const char* also;   // further phases
  double precision;   // of the ratios, 0.02 for 2 %; 0: whatever comes
  double max_time_s;  // 0: none
  bool list;
  bool dry_run;
} hakrun_options;

// Ends the process where all is said, or something is wrong.
void hakrun_parse(hakrun_options* chosen, int argc, char** argv);

// The text of the experiment that compare stands for; NULL where the command is no UTF-8.
char* hakrun_compare_text(const hakrun_options* chosen);

#endif  // HAKMEM_TOOLS_HAKRUN_HAKRUN_ARGUMENTS_H_
