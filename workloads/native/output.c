#include "output.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    struct entry *next;
    char *line;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct entry *first;
    struct entry **end;
    bool finished;
    pthread_t thread;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .end = &queue.first};

static _Noreturn void fail(const char *what, int error) {
    fprintf(stderr, "tidemark-worker: standard output: %s: %s\n", what, strerror(error));
    _exit(EXIT_FAILURE);
}

static void write_all(const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        const ssize_t written = write(STDOUT_FILENO, text, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            fail("can't be written", errno);
        text += written;
        left -= (size_t)written;
    }
}

static struct entry *queue_pop(void) {
    pthread_mutex_lock(&queue.lock);
    while (queue.first == NULL && !queue.finished)
        pthread_cond_wait(&queue.changed, &queue.lock);
    struct entry *entry = queue.first;
    if (entry != NULL) {
        queue.first = entry->next;
        if (queue.first == NULL)
            queue.end = &queue.first;
    }
    pthread_mutex_unlock(&queue.lock);
    return entry;
}

static void *write_lines(void *unused) {
    (void)unused;
    for (struct entry *entry; (entry = queue_pop()) != NULL;) {
        write_all(entry->line);
        free(entry->line);
        free(entry);
    }
    return NULL;
}

void output_start(void) {
    const int error = pthread_create(&queue.thread, NULL, write_lines, NULL);
    if (error != 0)
        fail("no thread to write it", error);
}

void output_push(char *line) {
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL)
        fail("no memory for a line", ENOMEM);
    *entry = (struct entry){.line = line};
    pthread_mutex_lock(&queue.lock);
    *queue.end = entry;
    queue.end = &entry->next;
    pthread_cond_signal(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

void output_finish(void) {
    pthread_mutex_lock(&queue.lock);
    queue.finished = true;
    pthread_cond_signal(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    pthread_join(queue.thread, NULL);
}
