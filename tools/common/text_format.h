// Texts of any length, made as printf would.

#ifndef HAKMEM_TOOLS_COMMON_TEXT_FORMAT_H_
#define HAKMEM_TOOLS_COMMON_TEXT_FORMAT_H_

// To be freed by the caller, or kept for the life of the program. Never NULL: without memory the
// program ends.
char* text_format(const char* format, ...) __attribute__((format(printf, 1, 2)));

#endif  // HAKMEM_TOOLS_COMMON_TEXT_FORMAT_H_
