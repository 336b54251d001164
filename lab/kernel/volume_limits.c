// Preloaded into a User Mode Linux process: holds the volumes of its host, and the link to them, to the rates in a file
// that the region writes (lab/block_limits.py; both describe the same bytes).
//
// The kernel's disk driver hands its requests to one thread, through a socket: the thread reads addresses of requests,
// does their input and output, and writes the addresses back (arch/um/drivers/ubd_kern.c of Linux). Here it gets them
// one by one; what it reads and writes meanwhile tells the volume and the bytes; and an address goes back when its
// request would have ended. So a slow volume keeps no other one waiting, which is why no limit of the machine's kernel
// would do: it makes that one thread wait, for whatever disk. In the meantime the host's kernel keeps more requests in
// flight, as it does with a disk that is slow.
//
// A volume takes its requests one after the other: each lasts bytes / bytes_per_s or operations / operations_per_s,
// whichever ends later. The link of a host does the same for all of its volumes. Both may catch up on what they were idle
// in the last BURST_NS, so that a reader with one request in flight finds the rate, too. Without a limit for anybody the
// thread's calls pass untouched.

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ID_BYTES = 32, HOSTS_MAX = 256, VOLUMES_MAX = 14 * HOSTS_MAX, PENDING_MAX = 1024 };
static const int64_t SECOND_NS = 1000000000;
static const int64_t BURST_NS = 50000000;

// Rates are per second; 0 is no limit. Times are of CLOCK_MONOTONIC, which all hosts of a machine share.
struct host {
  char id[ID_BYTES];
  double bytes_per_s;
  int64_t free_ns;  // when its link has done what it was given
};

struct volume {
  char id[ID_BYTES];
  double bytes_per_s;
  double operations_per_s;
  double credits_most;  // burst credits, each for an operation; 0: a volume that needs none
  double base_operations_per_s;  // by which they grow
  double operation_bytes;  // a request counts as one operation for each that it has begun
  double credits;
  int64_t credits_ns;  // when they were counted last
  int64_t bytes_free_ns;
  int64_t operations_free_ns;
  double operations;  // all that were done, and their bytes
  double bytes;
};

struct limits {
  int64_t any;  // whether there is a limit for anybody
  struct host hosts[HOSTS_MAX];
  struct volume volumes[VOLUMES_MAX];
};

struct pending {
  uint64_t address;
  int64_t next_ns;  // when something is to be done with it
  int64_t end_ns;  // when its volume is done with it
  double bytes;
  int on_link;
};

static struct limits *limits;
static char host_id[ID_BYTES];
static int main_thread;
static int requests = -1;  // the thread's end of the socket
static struct pending pending[PENDING_MAX];
static int pending_count;
// The request that the thread has in hand.
static int in_hand;
static struct volume *volume_in_hand;
static double bytes_in_hand;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int thread_id(void) { return (int)syscall(SYS_gettid); }

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t lasts_ns(double amount, double per_s) { return (int64_t)(amount / per_s * (double)SECOND_NS); }

// When `amount` more is done by what is free from *free_ns on. Idle time before now - BURST_NS is lost.
static int64_t take(int64_t *free_ns, int64_t now, double amount, double per_s) {
  *free_ns = later(*free_ns, now - BURST_NS) + lasts_ns(amount, per_s);
  return *free_ns;
}

// When a volume with burst credits has those for `operations` more: a debt is paid at the base rate.
static int64_t take_credits(struct volume *volume, int64_t now, double operations) {
  const double seconds = (double)(now - volume->credits_ns) / (double)SECOND_NS;
  const double grown = volume->credits + seconds * volume->base_operations_per_s;
  volume->credits = (grown < volume->credits_most ? grown : volume->credits_most) - operations;
  volume->credits_ns = now;
  return volume->credits < 0 ? now + lasts_ns(-volume->credits, volume->base_operations_per_s) : now;
}

static struct host *own_link(void) {
  for (int i = 0; i < HOSTS_MAX; i++) {
    if (strncmp(limits->hosts[i].id, host_id, ID_BYTES) == 0) {
      return limits->hosts[i].bytes_per_s > 0 ? &limits->hosts[i] : NULL;
    }
  }
  return NULL;
}

// The volume whose file is open as `descriptor`: its file has its id for a name.
static struct volume *volume_of(int descriptor) {
  char link[32] = "/proc/self/fd/", path[512];
  char digits[12];
  int count = 0;
  do {
    digits[count++] = (char)('0' + descriptor % 10);
    descriptor /= 10;
  } while (descriptor);
  char *end = link + strlen(link);
  while (count) {
    *end++ = digits[--count];
  }
  *end = 0;
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) {
    return NULL;
  }
  path[length] = 0;
  const char *slash = strrchr(path, '/');
  if (!slash || strncmp(slash + 1, "vol-", 4) != 0) {
    return NULL;
  }
  for (int i = 0; i < VOLUMES_MAX; i++) {
    if (strncmp(limits->volumes[i].id, slash + 1, ID_BYTES) == 0) {
      return &limits->volumes[i];
    }
  }
  return NULL;
}

static void give_back(uint64_t address) {
  while (syscall(SYS_write, requests, &address, sizeof address) < 0 && (errno == EAGAIN || errno == EINTR)) {
    struct pollfd writable = {.fd = requests, .events = POLLOUT};
    poll(&writable, 1, -1);
  }
}

// Gives back what has ended by now; returns when something else is to be done, or -1 if nothing is pending.
static int64_t end_requests(void) {
  int64_t next = -1;
  const int64_t now = now_ns();
  for (int i = 0; i < pending_count;) {
    struct pending *each = &pending[i];
    if (each->next_ns <= now && each->on_link) {
      struct host *link = own_link();
      each->next_ns = link ? later(each->end_ns, take(&link->free_ns, each->next_ns, each->bytes, link->bytes_per_s))
                           : each->end_ns;
      each->on_link = 0;
    }
    if (each->next_ns <= now) {
      give_back(each->address);
      pending_count--;
      memmove(each, each + 1, (size_t)(pending_count - i) * sizeof *each);  // in order: the link serves first come first
      continue;
    }
    next = next < 0 || each->next_ns < next ? each->next_ns : next;
    i++;
  }
  return next;
}

// Returns when there is something to read, or, with `full`, when there is room for another request.
static void wait_for_requests(int full) {
  for (;;) {
    const int64_t next = end_requests();
    if (full ? pending_count < PENDING_MAX : next < 0) {
      return;
    }
    const int64_t left = later(next - now_ns(), 0);
    const struct timespec timeout = {.tv_sec = left / SECOND_NS, .tv_nsec = left % SECOND_NS};
    struct pollfd readable = {.fd = full ? -1 : requests, .events = POLLIN};
    if (ppoll(&readable, 1, &timeout, NULL) > 0) {
      return;
    }
  }
}

static void hold_back(uint64_t address) {
  struct volume *volume = volume_in_hand;
  const int64_t now = now_ns();
  const double count = volume->operation_bytes > 0 ? ceil(bytes_in_hand / volume->operation_bytes) : 1;
  const double operations = count < 1 ? 1 : count;
  int64_t end = now;
  if (volume->bytes_per_s > 0) {
    end = later(end, take(&volume->bytes_free_ns, now, bytes_in_hand, volume->bytes_per_s));
  }
  if (volume->operations_per_s > 0) {
    end = later(end, take(&volume->operations_free_ns, now, operations, volume->operations_per_s));
  }
  if (volume->credits_most > 0) {
    end = later(end, take_credits(volume, now, operations));
  }
  volume->operations += operations;
  volume->bytes += bytes_in_hand;
  // The link carries it while the volume reads or writes it.
  const int64_t alone = volume->bytes_per_s > 0 ? lasts_ns(bytes_in_hand, volume->bytes_per_s) : 0;
  wait_for_requests(1);
  pending[pending_count++] = (struct pending){
      .address = address, .next_ns = later(now, end - alone), .end_ns = end, .bytes = bytes_in_hand, .on_link = 1};
}

ssize_t read(int descriptor, void *buffer, size_t size) {
  if (limits && requests < 0 && size > sizeof(uint64_t) && size % sizeof(uint64_t) == 0 && thread_id() != main_thread) {
    requests = descriptor;  // no other thread of it reads more than a byte
  }
  if (descriptor == requests && thread_id() != main_thread && size >= sizeof(uint64_t)) {
    if (pending_count) {
      wait_for_requests(0);
    }
    in_hand = limits->any != 0;
    volume_in_hand = NULL;
    bytes_in_hand = 0;
    return syscall(SYS_read, descriptor, buffer, in_hand ? sizeof(uint64_t) : size);
  }
  return syscall(SYS_read, descriptor, buffer, size);
}

ssize_t write(int descriptor, const void *buffer, size_t size) {
  if (in_hand && descriptor == requests && size == sizeof(uint64_t) && thread_id() != main_thread) {
    in_hand = 0;
    if (volume_in_hand) {
      uint64_t address;
      memcpy(&address, buffer, sizeof address);
      hold_back(address);
      return (ssize_t)size;
    }
  }
  return syscall(SYS_write, descriptor, buffer, size);
}

static void in_or_out(int descriptor, size_t bytes) {
  if (in_hand && thread_id() != main_thread) {
    volume_in_hand = volume_in_hand ? volume_in_hand : volume_of(descriptor);
    bytes_in_hand += (double)bytes;
  }
}

ssize_t pread64(int descriptor, void *buffer, size_t size, off64_t offset) {
  in_or_out(descriptor, size);
  return syscall(SYS_pread64, descriptor, buffer, size, offset);
}

ssize_t pwrite64(int descriptor, const void *buffer, size_t size, off64_t offset) {
  in_or_out(descriptor, size);
  return syscall(SYS_pwrite64, descriptor, buffer, size, offset);
}

// Zeroes and discarded blocks carry no bytes: an operation.
int fallocate64(int descriptor, int mode, off64_t offset, off64_t length) {
  in_or_out(descriptor, 0);
  return (int)syscall(SYS_fallocate, descriptor, mode, offset, length);
}

static const char *setting(char **environment, const char *name) {
  const size_t length = strlen(name);
  for (; *environment; environment++) {
    if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
      return *environment + length + 1;
    }
  }
  return NULL;
}

__attribute__((constructor)) static void start(int argc, char **argv, char **environment) {
  (void)argc, (void)argv;
  const char *path = setting(environment, "TIDEMARK_BLOCK_LIMITS");
  const char *id = setting(environment, "TIDEMARK_HOST_ID");
  if (!path || !id) {
    return;
  }
  const int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  void *mapped = mmap(NULL, sizeof *limits, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) {
    strncpy(host_id, id, ID_BYTES - 1);
    main_thread = thread_id();
    limits = mapped;
  }
}
