#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "refuse.h"

#define EVENTS_A_TURN 64

static int epoll_descriptor = -1;
static uint64_t armed_ns; /* 0: the timer is not running */
static struct watch timer = {.descriptor = -1};

/* Not read: setting it anew takes its expirations away, too (timerfd_setup in the kernel's fs/timerfd.c). */
static void timer_ready(struct watch *watch, uint32_t events) {
    (void)watch;
    (void)events;
    armed_ns = 0;
}

void loop_open(void) {
    epoll_descriptor = epoll_create1(EPOLL_CLOEXEC);
    timer.descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timer.ready = timer_ready;
    if (epoll_descriptor < 0 || timer.descriptor < 0 || !loop_watch(&timer, EPOLLIN))
        refuse(EXIT_FAILURE, "epoll, timerfd: %s", strerror(errno));
}

bool loop_watch(struct watch *watch, uint32_t wanted) {
    if (watch->watched && watch->wanted == wanted)
        return true;
    struct epoll_event event = {.events = wanted, .data = {.ptr = watch}};
    const int operation = watch->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(epoll_descriptor, operation, watch->descriptor, &event) != 0) {
        if (errno == EPERM)
            return false;
        refuse(EXIT_FAILURE, "epoll: %s", strerror(errno));
    }
    watch->watched = true;
    watch->wanted = wanted;
    return true;
}

void loop_forget(struct watch *watch) {
    if (watch->watched)
        epoll_ctl(epoll_descriptor, EPOLL_CTL_DEL, watch->descriptor, NULL);
    watch->watched = false;
}

/* A timer of its own instead of a time limit to epoll_wait: to the latter the kernel adds some slack (0.1 % of it,
 * select_estimate_accuracy in fs/select.c), to a timerfd none, whatever the process's timer slack is. */
static void arm(uint64_t until_ns) {
    if (until_ns == armed_ns)
        return;
    const struct itimerspec at = {.it_value = clock_timespec(until_ns)};
    if (timerfd_settime(timer.descriptor, TFD_TIMER_ABSTIME, &at, NULL) != 0)
        refuse(EXIT_FAILURE, "timerfd: %s", strerror(errno));
    armed_ns = until_ns;
}

void loop_turn(uint64_t until_ns) {
    struct epoll_event events[EVENTS_A_TURN];
    arm(until_ns);
    const int count = epoll_wait(epoll_descriptor, events, EVENTS_A_TURN, -1);
    if (count < 0 && errno != EINTR)
        refuse(EXIT_FAILURE, "epoll: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct watch *const watch = events[i].data.ptr;
        if (watch->watched)
            watch->ready(watch, events[i].events);
    }
}

void loop_close(void) {
    close(timer.descriptor);
    close(epoll_descriptor);
}
