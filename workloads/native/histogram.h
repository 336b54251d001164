/* The latency buckets of docs/interfaces.md, "The native worker": values below 256 ns have a bucket each; above,
 * each power of two is cut into 128 equal buckets, so a bucket's middle is within 1/256 of any value in it.
 * It is the log-linear layout of HdrHistogram; merging is adding counts, hence exact. */
#ifndef TIDEMARK_HISTOGRAM_H
#define TIDEMARK_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_EXACT_LIMIT 256u /* 2^8: below it, index = value */
#define HISTOGRAM_PER_OCTAVE 128u
#define HISTOGRAM_BUCKETS (HISTOGRAM_EXACT_LIMIT + (64u - 8u) * HISTOGRAM_PER_OCTAVE)

static inline uint32_t histogram_index(uint64_t value) {
    if (value < HISTOGRAM_EXACT_LIMIT)
        return (uint32_t)value;
    const uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value);
    const uint32_t within = (uint32_t)(value >> (exponent - 7u)) - HISTOGRAM_PER_OCTAVE;
    return HISTOGRAM_EXACT_LIMIT + (exponent - 8u) * HISTOGRAM_PER_OCTAVE + within;
}

#endif
