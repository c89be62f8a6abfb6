// Where in a JSON text something stands, for messages: the parser tells the line of a syntax error,
// but not the line of a key that it accepted.

#ifndef HAKMEM_TOOLS_HAKRUN_JSON_LINE_H_
#define HAKMEM_TOOLS_HAKRUN_JSON_LINE_H_

// The line, from 1, of what a path like "/phases/1/allocator" names in `text`, which must be valid
// JSON. Where the path goes further than the text, the line of its last part that exists.
int json_line_of(const char* text, const char* path);

#endif  // HAKMEM_TOOLS_HAKRUN_JSON_LINE_H_
