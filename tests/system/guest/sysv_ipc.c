// SPDX-License-Identifier: MIT
// System V shared memory, semaphores and message queues: what processes share, who waits for whom, what an exit takes back, errors.
#include "guest_test.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

enum { PAGE = 4096, KEY = 0x534e0001 };
static const struct timespec soon = {0, 1000000};

static long attached(int id)
{
    struct shmid_ds d;
    return shmctl(id, IPC_STAT, &d) ? -1 : (long)d.shm_nattch;
}

static void check_segment(void)
{
    struct shmid_ds d;
    int id = shmget(KEY, PAGE + 100, IPC_CREAT | IPC_EXCL | 0640);
    check("shmget", id >= 0, NULL);
    check_errno("exclusive", shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL), EEXIST);
    check_value("found", shmget(KEY, PAGE, 0), id);
    check_errno("larger than it is", shmget(KEY, 3 * PAGE, 0), EINVAL);
    check_errno("no such key", shmget(KEY + 1, PAGE, 0), ENOENT);
    check_errno("no size", shmget(IPC_PRIVATE, 0, 0600), EINVAL);
    char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
    check("attached twice", a != (void *)-1 && b != (void *)-1 && a != b, NULL);
    check_value("zeros", a[PAGE + 99], 0);
    strcpy(a + PAGE, "shared");
    check("both show it", !strcmp(b + PAGE, "shared"), b + PAGE);
    check_value("counted", attached(id), 2);
    check_value("status", shmctl(id, IPC_STAT, &d), 0);
    check_value("size", (long)d.shm_segsz, PAGE + 100);
    check_value("mode", d.shm_perm.mode, 0640);
    check_value("creator", d.shm_cpid, getpid());
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        int good = attached(id) == 4 && !strcmp(a + PAGE, "shared");
        strcpy(a, "child");
        _exit(!good || shmdt(b) || attached(id) != 3);
    }
    check_value("a child has them too", exit_of(child), 0);
    check_value("until it ends", attached(id), 2);
    check("what it wrote", !strcmp(b, "child"), b);
    check_errno("read-only stays so", mprotect(b, PAGE, PROT_READ | PROT_WRITE), EACCES);
    check_value("shmdt", shmdt(b), 0);
    check_errno("twice", shmdt(b), EINVAL);
    check_errno("inside", shmdt(a + PAGE), EINVAL);
    check_value("removed", shmctl(id, IPC_RMID, NULL), 0);
    check_errno("no key any more", shmget(KEY, PAGE, 0), ENOENT);
    check_value("still attached", attached(id), 1);
    check("and there", !strcmp(a, "child"), a);
    check_value("the last goes", shmdt(a), 0);
    check_errno("and with it the segment", shmctl(id, IPC_STAT, &d), EINVAL);
}

static void check_places(void)
{
    int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600);
    char *there = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check_errno("in use", (long)shmat(id, there, 0), EINVAL);
    check_errno("no page's start", (long)shmat(id, there + 5, 0), EINVAL);
    check("instead of it", shmat(id, there, SHM_REMAP) == there, NULL);
    munmap(there + 2 * PAGE, 2 * PAGE);
    check("rounded down", shmat(id, there + 2 * PAGE + 5, SHM_RND) == there + 2 * PAGE, NULL);
    there[PAGE] = 'x';
    check_value("the same pages", there[3 * PAGE], 'x');
    mprotect(there, PAGE, PROT_READ);
    check_value("shmdt of pieces", shmdt(there), 0);
    check_value("the other stays", there[3 * PAGE], 'x');
    check_value("one left", attached(id), 1);
    munmap(there + 2 * PAGE, PAGE);
    check_value("munmap of a half", attached(id), 1);
    munmap(there + 3 * PAGE, PAGE);
    check_value("of all", attached(id), 0);
    check_value("removed at once", shmctl(id, IPC_RMID, NULL), 0);
    check_errno("no such segment", (long)shmat(id, NULL, 0), EINVAL);
    check_errno("negative", (long)shmat(-1, NULL, 0), EINVAL);
    check_errno("unknown command", shmctl(0, 77, NULL), EINVAL);
}

static int op(int id, int num, int what, int flags)
{
    struct sembuf o = {(unsigned short)num, (short)what, (short)flags};
    return semop(id, &o, 1);
}

static void check_values(void)
{
    int id = semget(KEY, 3, IPC_CREAT | IPC_EXCL | 0600);
    unsigned short all[3] = {1, 2, 3}, got[3] = {0};
    struct semid_ds d;
    check("semget", id >= 0, NULL);
    check_value("found", semget(KEY, 2, 0), id);
    check_errno("more than it has", semget(KEY, 4, 0), EINVAL);
    check_errno("none", semget(IPC_PRIVATE, 0, 0600), EINVAL);
    check_value("SETALL", semctl(id, 0, SETALL, all), 0);
    check_value("GETALL", semctl(id, 0, GETALL, got), 0);
    check("the values", !memcmp(all, got, sizeof all), "others");
    check_value("down", op(id, 2, -3, 0), 0);
    check_value("GETVAL", semctl(id, 2, GETVAL), 0);
    check_value("GETPID", semctl(id, 2, GETPID), getpid());
    check_value("zero is there", op(id, 2, 0, IPC_NOWAIT), 0);
    check_errno("not lower", op(id, 2, -1, IPC_NOWAIT), EAGAIN);
    check_errno("not zero", op(id, 1, 0, IPC_NOWAIT), EAGAIN);
    struct sembuf both[2] = {{0, -1, 0}, {1, -5, IPC_NOWAIT}};
    check_errno("both or none", semop(id, both, 2), EAGAIN);
    check_value("none", semctl(id, 0, GETVAL), 1);
    struct sembuf order[2] = {{2, 1, 0}, {2, -1, 0}};
    check_value("in order", semop(id, order, 2), 0);
    check_value("SETVAL", semctl(id, 0, SETVAL, 32767), 0);
    check_errno("too high", op(id, 0, 1, 0), ERANGE);
    check_errno("SETVAL too high", semctl(id, 0, SETVAL, 32768), ERANGE);
    check_errno("no such semaphore", op(id, 3, 1, 0), EFBIG);
    check_errno("nor here", semctl(id, 3, GETVAL), EINVAL);
    check_errno("no operations", semop(id, both, 0), EINVAL);
    check_errno("bad pointer", semop(id, (struct sembuf *)8, 1), EFAULT);
    check_errno("not in time", semtimedop(id, &(struct sembuf){2, -1, 0}, 1, &soon), EAGAIN);
    check_value("status", semctl(id, 0, IPC_STAT, &d), 0);
    check_value("how many", (long)d.sem_nsems, 3);
    check_value("removed", semctl(id, 0, IPC_RMID), 0);
    check_errno("gone", op(id, 0, 1, 0), EINVAL);
}

static void check_waiting(void)
{
    int id = semget(IPC_PRIVATE, 2, 0600);
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(op(id, 0, -2, 0) != 0);
    wait_until_asleep(child);
    check_value("one waits", semctl(id, 0, GETNCNT), 1);
    op(id, 0, 1, 0);
    wait_until_asleep(child);
    check_value("that is not enough", semctl(id, 0, GETVAL), 1);
    op(id, 0, 1, 0);
    check_value("now it is", exit_of(child), 0);
    check_value("taken", semctl(id, 0, GETVAL), 0);
    op(id, 1, 3, 0);
    child = fork();
    if (!child)
        _exit(op(id, 1, 0, 0) != 0);
    wait_until_asleep(child);
    check_value("one waits for zero", semctl(id, 1, GETZCNT), 1);
    semctl(id, 1, SETVAL, 0);
    check_value("it comes", exit_of(child), 0);
    child = fork();
    if (!child)
        _exit(op(id, 0, 5, SEM_UNDO) || op(id, 0, -1, 0) || op(id, 1, 2, SEM_UNDO));
    check_value("a process with undo", exit_of(child), 0);
    check_value("never below zero", semctl(id, 0, GETVAL), 0);
    check_value("taken back", semctl(id, 1, GETVAL), 0);
    child = fork();
    if (!child)
        _exit(op(id, 0, -1, 0) < 0 && errno == EIDRM ? 0 : 1);
    wait_until_asleep(child);
    semctl(id, 0, IPC_RMID);
    check_value("its set is removed", exit_of(child), 0);
}

struct text {
    long type;
    char data[100];
};

static long send_text(int id, long type, const char *data)
{
    struct text m = {.type = type};
    strcpy(m.data, data);
    return msgsnd(id, &m, strlen(data), IPC_NOWAIT);
}

/// Receive; the data must be `wanted`.
static void expect(const char *name, int id, long type, int flags, const char *wanted)
{
    struct text m = {0};
    long n = msgrcv(id, &m, sizeof m.data - 1, type, flags | IPC_NOWAIT);
    check(name, n == (long)strlen(wanted) && !strcmp(m.data, wanted), m.data);
}

static void check_messages(void)
{
    int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
    struct text m = {0};
    struct msqid_ds d;
    check("msgget", id >= 0, NULL);
    check_value("found", msgget(KEY, 0), id);
    check_value("send", send_text(id, 3, "three"), 0);
    send_text(id, 2, "two");
    send_text(id, 3, "again");
    send_text(id, 1, "one");
    check_value("status", msgctl(id, IPC_STAT, &d), 0);
    check_value("messages", (long)d.msg_qnum, 4);
    check_value("bytes", (long)d.msg_cbytes, 16);
    check_value("sender", d.msg_lspid, getpid());
    expect("of a type", id, 2, 0, "two");
    expect("the lowest", id, -2, 0, "one");
    expect("any", id, 0, 0, "three");
    expect("but not of a type", id, 7, MSG_EXCEPT, "again");
    check_errno("none", msgrcv(id, &m, 10, 0, IPC_NOWAIT), ENOMSG);
    send_text(id, 1, "too long");
    check_errno("too long", msgrcv(id, &m, 3, 0, IPC_NOWAIT), E2BIG);
    check_value("cut", msgrcv(id, &m, 3, 0, IPC_NOWAIT | MSG_NOERROR), 3);
    check("its start", !memcmp(m.data, "too", 3), m.data);
    check_value("an empty one", send_text(id, 5, ""), 0);
    check_value("is received", msgrcv(id, &m, 10, 5, IPC_NOWAIT), 0);
    check_errno("no type", send_text(id, 0, "x"), EINVAL);
    check_errno("too much", msgsnd(id, &m, 1 << 20, IPC_NOWAIT), EINVAL);
    check_errno("bad pointer", msgsnd(id, (void *)8, 1, 0), EFAULT);
    d.msg_qbytes = 10;
    check_value("IPC_SET", msgctl(id, IPC_SET, &d), 0);
    check_value("room", send_text(id, 1, "12345678"), 0);
    check_errno("no room", send_text(id, 1, "123"), EAGAIN);
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(msgsnd(id, &(struct text){9, "wait"}, 4, 0) != 0);
    wait_until_asleep(child);
    expect("makes room", id, 1, 0, "12345678");
    check_value("for who waits", exit_of(child), 0);
    expect("its message", id, 9, 0, "wait");
    child = fork();
    if (!child)
        _exit(msgrcv(id, &m, 10, 4, 0) == 2 ? 0 : 1);
    wait_until_asleep(child);
    send_text(id, 5, "no");
    send_text(id, 4, "4!");
    check_value("waits for its type", exit_of(child), 0);
    expect("the other stays", id, 0, 0, "no");
    child = fork();
    if (!child)
        _exit(msgrcv(id, &m, 10, 0, 0) < 0 && errno == EIDRM ? 0 : 1);
    wait_until_asleep(child);
    check_value("removed", msgctl(id, IPC_RMID, NULL), 0);
    check_value("who waits is told", exit_of(child), 0);
    check_errno("gone", send_text(id, 1, "x"), EINVAL);
}

/// What another user may do.
static void check_rights(void)
{
    int open_to_all = shmget(IPC_PRIVATE, PAGE, 0644), closed = semget(IPC_PRIVATE, 1, 0600);
    struct shmid_ds d;
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        setgid(1000);
        setuid(1000);
        failures = 0;
        check_errno("not writable", (long)shmat(open_to_all, NULL, 0), EACCES);
        check("readable", shmat(open_to_all, NULL, SHM_RDONLY) != (void *)-1, NULL);
        check_errno("not removable", shmctl(open_to_all, IPC_RMID, NULL), EPERM);
        check_value("status", shmctl(open_to_all, IPC_STAT, &d), 0);
        check_errno("no semaphore", semctl(closed, 0, GETVAL), EACCES);
        check_errno("nor its set", semctl(closed, 0, IPC_RMID), EPERM);
        fflush(stdout);
        _exit(failures);
    }
    failures += exit_of(child);
    d.shm_perm.uid = d.shm_perm.gid = 0;
    d.shm_perm.mode = 0600;
    check_value("IPC_SET", shmctl(open_to_all, IPC_SET, &d), 0);
    check_value("its mode", shmctl(open_to_all, IPC_STAT, &d) ? -1 : (int)d.shm_perm.mode, 0600);
    shmctl(open_to_all, IPC_RMID, NULL);
    semctl(closed, 0, IPC_RMID);
}

int main(void)
{
    line_output();
    check_segment();
    check_places();
    check_values();
    check_waiting();
    check_messages();
    check_rights();
    printf(failures ? "%d checks failed\n" : "all ok\n", failures);
    return failures != 0;
}
