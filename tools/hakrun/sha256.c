// See sha256.h. Names follow the standard: message schedule w, working variables a..h.

#include "tools/hakrun/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 64 };

typedef struct hash_state {
  uint32_t h[8];
  uint64_t length;  // bytes hashed so far
  unsigned char block[BLOCK_BYTES];
  size_t filled;
} hash_state;

static const uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static const hash_state kStart = {
    .h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
          0x5be0cd19},
};

static uint32_t rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static void expand(const unsigned char block[BLOCK_BYTES], uint32_t w[64]) {
  for (size_t i = 0; i < 16; i++) {
    const unsigned char* at = block + 4 * i;
    w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  }
  for (size_t i = 16; i < 64; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
}

static void hash_block(hash_state* state) {
  uint32_t w[64];
  uint32_t v[8];  // a..h
  expand(state->block, w);
  memcpy(v, state->h, sizeof(v));
  for (size_t i = 0; i < 64; i++) {
    uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
    uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
    uint32_t t1 = v[7] + s1 + choice + kRoundConstants[i] + w[i];
    uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
    uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    memmove(v + 1, v, 7 * sizeof(v[0]));
    v[4] += t1;
    v[0] = t1 + s0 + majority;
  }
  for (size_t i = 0; i < 8; i++) state->h[i] += v[i];
  state->filled = 0;
}

static void add(hash_state* state, const void* bytes, size_t length) {
  const unsigned char* from = bytes;
  state->length += length;
  while (length > 0) {
    size_t part = BLOCK_BYTES - state->filled;
    if (part > length) part = length;
    memcpy(state->block + state->filled, from, part);
    state->filled += part;
    from += part;
    length -= part;
    if (state->filled == BLOCK_BYTES) hash_block(state);
  }
}

static void finish(hash_state* state, char hex[SHA256_HEX_BYTES]) {
  uint64_t bits = state->length * 8;
  unsigned char length[8];
  for (size_t i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
  add(state, "\x80", 1);
  while (state->filled != BLOCK_BYTES - sizeof(length)) add(state, "", 1);
  add(state, length, sizeof(length));
  for (size_t i = 0; i < 8; i++) snprintf(hex + 8 * i, 9, "%08x", state->h[i]);
}

void sha256_of_bytes(const void* bytes, size_t length, char hex[SHA256_HEX_BYTES]) {
  hash_state state = kStart;
  add(&state, bytes, length);
  finish(&state, hex);
}

bool sha256_of_file(const char* path, char hex[SHA256_HEX_BYTES]) {
  unsigned char buffer[65536];
  hash_state state = kStart;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  for (;;) {
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int error = errno;
      close(fd);
      errno = error;
      return false;
    }
    if (got == 0) break;
    add(&state, buffer, (size_t)got);
  }
  close(fd);
  finish(&state, hex);
  return true;
}
