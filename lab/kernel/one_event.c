// Preloaded into a User Mode Linux process: its interrupts take one event of epoll at a time.
//
// The kernel's handler of SIGIO (arch/um/kernel/irq.c of Linux) asks epoll for up to 64 events, which come into one array,
// and serves them in turn. While it serves one, a softirq allows signals, and the handler begins again in the midst of
// itself, with the same array: the outer one goes on with what the inner one has left there. Events are edge-triggered,
// so that the one that was overwritten is never seen again: a disk had done its request, the answer lay in the socket
// (8 bytes by `ss -xa`), and the host waited for it until the disk was used once more: 5 s later by its journal, or never.
// In 140 starts of a worker beside network traffic there were seven such pauses, of 5 to 36 s.

//
// With a timeout it is another thread that asks, which has events of its own. epoll_pwait, unlike a system call of our own,
// may be cancelled in between (pthreads(7), cancellation points): that thread ends so when the host powers off.

#include <stddef.h>
#include <sys/epoll.h>

int epoll_wait(int descriptor, struct epoll_event *events, int events_max, int timeout_ms) {
  return epoll_pwait(descriptor, events, timeout_ms == 0 ? 1 : events_max, timeout_ms, NULL);
}
