// Prints the tables of docs/TELEMETRY.md.

#include <stdio.h>

#include "hakmem/telemetry/report.h"

static void emit(const char* line, void* context) { fprintf(context, "%s\n", line); }

int main(void) {
  hak_report_document(emit, stdout);
  return ferror(stdout) != 0 || fflush(stdout) != 0 ? 1 : 0;
}
