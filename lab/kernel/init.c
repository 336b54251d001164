// The only program of a kernel that is started to see whether it runs here: one line, then the power goes off.
// User space is where a kernel fails that can't hold this processor's registers, so it is user space that must speak.

#include <stdio.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

int main(void) {
  puts("tidemark: user space runs");
  fflush(stdout);
  tcdrain(STDOUT_FILENO);
  return reboot(RB_POWER_OFF);
}
