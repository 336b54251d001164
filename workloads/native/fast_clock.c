#include "fast_clock.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <stdio.h>
#include <string.h>

/* Two readings are each some 30 ns apart from their counter: over 20 ms that is 3 ppm. */
#define CALIBRATION_NS (20 * NS_PER_MILLISECOND)
#define READINGS 8u

#ifdef __x86_64__

#define CLOCK_SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/* AMD64 Architecture Programmer's Manual 3, CPUID Fn8000_0007_EDX[8]; Intel SDM 3B, 18.17.1: "invariant TSC", which
 * runs at one rate whatever the processor's frequency and sleep. */
static bool counter_is_invariant(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << 8)) != 0;
}

/* The kernel takes the counter for its own clock, "tsc", only if it found it equal on all processors. "timer" is User
 * Mode Linux (arch/um/kernel/time.c): its clock is that of the machine that it runs on, whose processor answers RDTSC
 * and CPUID; a host of a rehearsal keeps to one processor. */
static bool kernel_trusts_counter(void) {
    char name[32] = "";
    FILE *const file = fopen(CLOCK_SOURCE, "re");
    if (file == NULL)
        return false;
    const bool is_read = fgets(name, sizeof name, file) != NULL;
    fclose(file);
    return is_read && (strcmp(name, "tsc\n") == 0 || strcmp(name, "timer\n") == 0);
}

/* The reading of several that was interrupted least. */
static struct clock_pair read_both(void) {
    struct clock_pair best = {0, 0};
    uint64_t shortest = UINT64_MAX;
    for (unsigned i = 0; i < READINGS; i++) {
        const uint64_t before = __builtin_ia32_rdtsc();
        const uint64_t ns = clock_monotonic_ns();
        const uint64_t length = __builtin_ia32_rdtsc() - before;
        if (length < shortest) {
            shortest = length;
            best = (struct clock_pair){.ticks = before + length / 2, .ns = ns};
        }
    }
    return best;
}

static uint64_t average_rate(const struct clock_pair *from, const struct clock_pair *to) {
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)(to->ns - from->ns) << 32) / (to->ticks - from->ticks));
}

void fast_clock_start(struct fast_clock *clock) {
    *clock = (struct fast_clock){.counts_ticks = counter_is_invariant() && kernel_trusts_counter()};
    if (clock->counts_ticks)
        clock->first = read_both();
}

void fast_clock_calibrate(struct fast_clock *clock) {
    if (!clock->counts_ticks)
        return;
    const uint64_t passed_ns = clock_monotonic_ns() - clock->first.ns;
    if (passed_ns < CALIBRATION_NS)
        clock_sleep_ns(CALIBRATION_NS - passed_ns);
    clock->base = read_both();
    clock->ns_per_tick = average_rate(&clock->first, &clock->base);
}

void fast_clock_align(struct fast_clock *clock) {
    if (!clock->counts_ticks)
        return;
    const struct clock_pair now = read_both();
    const uint64_t rate = average_rate(&clock->first, &now);
    clock->base = (struct clock_pair){.ticks = now.ticks, .ns = fast_clock_at(clock, now.ticks)};
    /* A thousandth at most, which is twice what adjtimex(2) lets the monotonic clock itself be slewed by. */
    const int64_t behind_ns = (int64_t)(now.ns - clock->base.ns);
    const int64_t most_ns = (int64_t)NS_PER_MILLISECOND;
    const int64_t made_up_ns = behind_ns > most_ns ? most_ns : behind_ns < -most_ns ? -most_ns : behind_ns;
    clock->ns_per_tick = (uint64_t)((int64_t)rate + (int64_t)rate * made_up_ns / (int64_t)NS_PER_SECOND);
}

#else

void fast_clock_start(struct fast_clock *clock) { *clock = (struct fast_clock){.counts_ticks = false}; }

void fast_clock_calibrate(struct fast_clock *clock) { (void)clock; }

void fast_clock_align(struct fast_clock *clock) { (void)clock; }

#endif
