// SHA-256 (FIPS 180-4), for naming the programs and libraries that a result came from.

#ifndef HAKMEM_TOOLS_HAKRUN_SHA256_H_
#define HAKMEM_TOOLS_HAKRUN_SHA256_H_

#include <stdbool.h>
#include <stddef.h>

enum { SHA256_HEX_BYTES = 65 };  // 64 digits and a 0

void sha256_of_bytes(const void* bytes, size_t length, char hex[SHA256_HEX_BYTES]);

// False, with errno set, when the file cannot be read.
bool sha256_of_file(const char* path, char hex[SHA256_HEX_BYTES]);

#endif  // HAKMEM_TOOLS_HAKRUN_SHA256_H_
