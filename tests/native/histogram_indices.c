/* Prints the bucket of each number on standard input, by the worker's own histogram.h. */
#include <inttypes.h>
#include <stdio.h>

#include "histogram.h"

int main(void) {
    for (uint64_t value; scanf("%" SCNu64, &value) == 1;)
        printf("%" PRIu32 "\n", histogram_index(value));
    return 0;
}
