/* SPDX-License-Identifier: MIT */
/* Copies between user and kernel memory with fault recovery: the only code that touches user
   memory. A fault at an address in .extable continues at its partner. Callers (uaccess.cc) have
   checked the range and opened user access (stac). */

    .macro extable from, to
    .pushsection .extable, "a"
    .quad \from, \to
    .popsection
    .endm

    .text
/* u64 x86_copy_user(void *to, const void *from, u64 n): bytes not copied. */
    .globl x86_copy_user
    .type x86_copy_user, @function
x86_copy_user:
    mov %rdx, %rcx
    cmp $8, %rcx
    jb 3f
    shr $3, %rcx
    and $7, %edx
1:  rep movsq
    mov %edx, %ecx
3:  jecxz 5f
2:  rep movsb
5:  xor %eax, %eax
    ret
/* Fault among the words: what is left may still be partly copied byte by byte, so that the count
   is exact. */
6:  lea (%rdx,%rcx,8), %rcx
    jmp 2b
7:  mov %rcx, %rax
    ret
    extable 1b, 6b
    extable 2b, 7b

/* u64 x86_clear_user(void *to, u64 n): bytes not cleared. */
    .globl x86_clear_user
    .type x86_clear_user, @function
x86_clear_user:
    mov %rsi, %rcx
    mov %esi, %edx
    and $7, %edx
    shr $3, %rcx
    xor %eax, %eax
1:  rep stosq
    mov %edx, %ecx
2:  rep stosb
    ret
3:  lea (%rdx,%rcx,8), %rcx
    jmp 2b
4:  mov %rcx, %rax
    ret
    extable 1b, 3b
    extable 2b, 4b

/* u64 x86_get_user8(const void *from, u64 *out): 0, or 8 on a fault. */
    .globl x86_get_user8
    .type x86_get_user8, @function
x86_get_user8:
    xor %eax, %eax
1:  mov (%rdi), %rdx
    mov %rdx, (%rsi)
    ret
2:  mov $8, %eax
    ret
    extable 1b, 2b

    .globl x86_put_user8
    .type x86_put_user8, @function
x86_put_user8:                  /* (void *to, u64 v) */
    xor %eax, %eax
1:  mov %rsi, (%rdi)
    ret
2:  mov $8, %eax
    ret
    extable 1b, 2b

/* u64 x86_get_user4(const void *from, u32 *out), x86_put_user4(void *to, u32 v): 0, or 4 on a
   fault. */
    .globl x86_get_user4
    .type x86_get_user4, @function
x86_get_user4:
    xor %eax, %eax
1:  mov (%rdi), %edx
    mov %edx, (%rsi)
    ret
2:  mov $4, %eax
    ret
    extable 1b, 2b

    .globl x86_put_user4
    .type x86_put_user4, @function
x86_put_user4:
    xor %eax, %eax
1:  mov %esi, (%rdi)
    ret
2:  mov $4, %eax
    ret
    extable 1b, 2b

/* s64 x86_strncpy_user(char *to, const char *from, u64 n): bytes copied incl. NUL, n when there
   is none, -14 on a fault. */
    .globl x86_strncpy_user
    .type x86_strncpy_user, @function
x86_strncpy_user:
    xor %eax, %eax
1:  cmp %rdx, %rax
    je 3f
2:  movb (%rsi,%rax), %cl
    movb %cl, (%rdi,%rax)
    inc %rax
    test %cl, %cl
    jnz 1b
3:  ret
4:  mov $-14, %rax
    ret
    extable 2b, 4b
