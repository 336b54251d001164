// Preloaded into a User Mode Linux process, whose network card is two packet sockets on one end of a veth pair
// (`transport=raw` in arch/um/drivers/vector_user.c of Linux): sets what the kernel's driver leaves at its default.
//
// - The socket that receives (protocol ETH_P_ALL) gets room for a window of each connection. By default it holds 212,992
//   bytes (net.core.rmem_default), three packets of 64 KiB: one packet in 25 of a bulk transfer was lost. And it leaves out what the
//   host itself sends, which would come back to it as if it had been received.
// - The socket that sends (protocol 0 when it is made) is bound to ETH_P_IP later and would then receive, too: a copy of
//   each packet, in a queue that nobody reads. A filter that accepts nothing keeps it empty.
//
// It calls the kernel itself and needs no C library of its own: the process may run on another one than the machine.

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Fifteen iSCSI sessions, each with a receive window of 4 MiB at most on a host of 512 MiB (tcp(7), tcp_rmem).
enum { RECEIVE_BUFFER_BYTES = 64 * 1024 * 1024 };

static void set_option(int descriptor, int level, int name, const void *value, socklen_t size) {
  // What an older kernel does not know stays as it was: the socket works, with more copies or less room.
  (void)syscall(SYS_setsockopt, descriptor, level, name, value, size);
}

int socket(int domain, int type, int protocol) {
  const int descriptor = (int)syscall(SYS_socket, domain, type, protocol);
  if (descriptor < 0 || domain != AF_PACKET) {
    return descriptor;
  }
  const int on = 1;
  if (protocol == ETH_P_ALL) {
    const int bytes = RECEIVE_BUFFER_BYTES;
    set_option(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    set_option(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  } else {
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog filter = {.len = 1, .filter = &nothing};
    set_option(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
  }
  return descriptor;
}
