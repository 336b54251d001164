/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): one 64-bit state, passes BigCrush, about a nanosecond a number.
 * Nothing here has to withstand an adversary; offsets have to be uniform and data must not compress to nothing. */
#ifndef TIDEMARK_RANDOM_H
#define TIDEMARK_RANDOM_H

#include <stdint.h>

static inline uint64_t random_mix(uint64_t value) {
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static inline uint64_t random_next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return random_mix(*state);
}

/* Streams of one seed start at unrelated places of the generator's single cycle of 2^64. */
static inline uint64_t random_stream(uint64_t seed, uint64_t stream) {
    return random_mix(seed ^ random_mix(stream + UINT64_C(0x9e3779b97f4a7c15)));
}

/* 0 <= result < limit by multiplication instead of division (Lemire, ACM TOMACS 29:1, 2019); what it leaves of
 * bias is limit / 2^64: nothing that a run could show. */
static inline uint64_t random_below(uint64_t *state, uint64_t limit) {
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)random_next(state) * limit) >> 64);
}

#endif
