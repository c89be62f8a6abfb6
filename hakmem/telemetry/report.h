// Figures as text: a line of JSON, OpenMetrics, and the tables that explain them. Which figures
// there are is in stats.def; nothing here knows one by name. Owns nothing, asks nobody.

#ifndef HAKMEM_REPORT_H_
#define HAKMEM_REPORT_H_

#include "hakmem/options/events.h"
#include "hakmem/platform/text.h"
#include "hakmem/stats/stats.h"

// What a line says beside the figures.
typedef struct hak_report_head {
  uint64_t sequence;  // HAK_UNKNOWN: it is none of a series
  uint64_t pid;
  const char* phase;  // NULL or "": none
} hak_report_head_t;

// One line of schema hakmem.telemetry.1. Length at most HAK_REPORT_LINE_BYTES.
hak_cold void hak_report_json(hak_text_t* text, const hak_snapshot_t* snapshot,
                              const hak_report_head_t* head);
#define HAK_REPORT_LINE_BYTES (64 * HAK_KIB)

// One line of schema hakmem.event.1. Length at most HAK_REPORT_EVENT_BYTES.
hak_cold void hak_report_event(hak_text_t* text, const hak_event_t* event, uint64_t pid);
#define HAK_REPORT_EVENT_BYTES 512

// The two formats that Prometheus reads differ in what a counter's family is called: OpenMetrics
// has no _total there, and says the unit.
typedef enum hak_exposition {
  HAK_OPEN_METRICS,
  HAK_PROMETHEUS_TEXT,  // version 0.0.4: what node-exporter's text collector takes
} hak_exposition_t;

hak_cold void hak_report_metrics(hak_text_t* text, const hak_snapshot_t* snapshot,
                                 hak_exposition_t format);

// Calls `emit` with each line of the Markdown tables of docs/TELEMETRY.md.
hak_cold void hak_report_document(void (*emit)(const char* line, void* context), void* context);

#endif  // HAKMEM_REPORT_H_
