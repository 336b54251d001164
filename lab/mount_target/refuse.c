#include "refuse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void refuse(int status, const char *format, ...) {
    char reason[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(reason, sizeof reason, format, values);
    va_end(values);
    for (char *at = reason; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
    fprintf(stderr, "mount-target: %s\n", reason);
    exit(status);
}

_Noreturn void refuse_no_memory(void) { refuse(EXIT_FAILURE, "no memory"); }
