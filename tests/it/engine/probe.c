// Tries one kernel interface for each row of a table: `probe NAME…` or `probe` for all. Prints a line for each row: its name,
// and `ok`, the error's name or number, or the signal that ended it. Sockets are only made, never connected.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAMILIES = 46, X32 = 0x40000000 };

struct row {
    const char *name;
    long number;
    long a, b, c, d, e;
};

#define ROW(call, ...) { #call, SYS_##call, __VA_ARGS__ }

static const struct row rows[] = {
    ROW(io_uring_setup, 1, 0),
    ROW(io_uring_enter, -1),
    ROW(io_uring_register, -1),
    { "memfd_secret", 447 },
    ROW(vmsplice, -1),
    ROW(mq_open, 0),
    ROW(mq_unlink, 0),
    ROW(msgget, 0, 0600),
    ROW(semget, 0, 1, 0600),
    ROW(kcmp, 1, 1, 0),
    ROW(process_vm_readv, 1),
    ROW(process_vm_writev, 1),
    { "pidfd_getfd", 438, -1 },
    ROW(personality, 8),
    ROW(sched_setattr, 0, 0, 0),
    ROW(clone3, 0, 0),
    ROW(bpf, 0, 0, 0),
    ROW(keyctl, 0, 0),
    ROW(add_key, 0),
    ROW(request_key, 0),
    ROW(perf_event_open, 0),
    ROW(userfaultfd, 0),
    ROW(unshare, 0x10000000),
    ROW(setns, -1, 0),
    ROW(mount, 0),
    ROW(umount2, 0),
    ROW(pivot_root, 0),
    ROW(chroot, 0),
    ROW(open_by_handle_at, -1),
    ROW(fanotify_init, 0),
    ROW(init_module, 0),
    ROW(kexec_load, 0),
    ROW(reboot, 0),
    ROW(swapon, 0),
    ROW(syslog, 2, 0, 0),
    ROW(clone, 0x10000011),
    { "fsopen", 430, 0 },
    { "open_tree", 428, -1 },
    { "mount_setattr", 442, -1 },
#ifdef __x86_64__
    ROW(modify_ldt, 0),
    ROW(iopl, 3),
    ROW(ioperm, 0),
    { "x32_getpid", X32 | 39 },
    { "x32_socket_vsock", X32 | 41, 40, 1, 0 },
    { "x32_socket_inet", X32 | 41, 2, 1, 0 },
#endif
    // Where only an agent may call it.
    ROW(ptrace, 0xffff, 0, 0, 0),
    { "shmget", SYS_shmget, 0, 4096, 01600 },
    // What must work.
    ROW(getpid, 0),
    { "personality_query", SYS_personality, 0xffffffff },
    { "personality_no_randomize", SYS_personality, 0x40000 },
};

static long as_result(long got) { return got < 0 ? -errno : got; }

#ifdef __x86_64__
// A 32-bit system call; its memory must lie below 4 GiB, as that of a static program that is not relocated does.
static long ia32(long number, long a, void *b) {
    long got;
    __asm__ volatile("int $0x80" : "=a"(got) : "a"(number), "b"(a), "c"(b) : "memory", "r8", "r9", "r10", "r11");
    return (int)got;
}

static unsigned words[4];

static long ia32_socket(int family) {
    words[0] = family, words[1] = SOCK_DGRAM, words[2] = 0;
    return ia32(102, 1, words);
}
#endif

static void finish(long got) {
    if (got >= 0) puts("ok");
    else if (strerrorname_np(-got)) puts(strerrorname_np(-got));
    else printf("%ld\n", -got);
    fflush(stdout);
    _exit(0);
}

static long socket_of(int family, int protocol) {
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
        if (socket(family, type, protocol) >= 0) return 0;
    return -errno;
}

static long pair_of(int family) {
    int both[2];
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
        if (socketpair(family, type, 0, both) >= 0) return 0;
    return -errno;
}

static int wanted(int count, char **names, const char *name) {
    for (int at = 1; at < count; at++)
        if (!strcmp(names[at], name)) return 1;
    return count < 2;
}

// Each row runs in a child, because the filter may end the program that breaks it.
#define TRY(name, expression)                                                  \
    do {                                                                       \
        if (!wanted(count, names, name)) break;                                \
        printf("%s ", name);                                                   \
        fflush(stdout);                                                        \
        pid_t child = fork();                                                  \
        int status = 0;                                                        \
        if (child == 0) finish(expression);                                    \
        waitpid(child, &status, 0);                                            \
        if (WIFSIGNALED(status)) printf("signal %d\n", WTERMSIG(status));      \
    } while (0)

int main(int count, char **names) {
    char name[64];
    for (unsigned at = 0; at < sizeof rows / sizeof *rows; at++) {
        const struct row *row = &rows[at];
        TRY(row->name, as_result(syscall(row->number, row->a, row->b, row->c, row->d, row->e)));
    }
    for (int family = 0; family < FAMILIES; family++) {
        snprintf(name, sizeof name, "socket_%d", family);
        TRY(name, socket_of(family, 0));
        snprintf(name, sizeof name, "socketpair_%d", family);
        TRY(name, pair_of(family));
#ifdef __x86_64__
        snprintf(name, sizeof name, "ia32_socket_%d", family);
        TRY(name, ia32_socket(family));
#endif
    }
    TRY("socket_high_bits", as_result(syscall(SYS_socket, 0x100000028, SOCK_STREAM, 0)));
    for (int protocol = 0; protocol < 23; protocol++) {
        snprintf(name, sizeof name, "netlink_%d", protocol);
        TRY(name, socket_of(AF_NETLINK, protocol));
    }
    return 0;
}
