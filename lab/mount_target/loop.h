/* Waiting: for descriptors (epoll) and for one point in time (timerfd). There is one loop, as there is one thread. */
#ifndef MOUNT_TARGET_LOOP_H
#define MOUNT_TARGET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int descriptor;
    uint32_t wanted; /* EPOLLIN, EPOLLOUT, both or neither; EPOLLERR and EPOLLHUP come unasked */
    bool watched;
    void (*ready)(struct watch *watch, uint32_t events);
    void *owner;
};

void loop_open(void);

/* Watches for `wanted` from now on. Returns false, with errno EPERM, for what needs no waiting for, such as a file. */
bool loop_watch(struct watch *watch, uint32_t wanted);

void loop_forget(struct watch *watch);

/* Waits until something is ready or CLOCK_MONOTONIC is `until_ns`, then calls whatever is ready. Between the calls of
 * one turn a watch may be forgotten, but its memory must stay. */
void loop_turn(uint64_t until_ns);

void loop_close(void);

#endif
