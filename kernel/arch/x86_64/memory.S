/* SPDX-License-Identifier: MIT */
/* memcpy and its kin, which the compiler also calls by itself. Small sizes by overlapping moves,
   large ones by string instructions (one instruction per repetition under an instruction
   counter, fast microcode on hardware). */

    .text
    .globl memcpy
    .type memcpy, @function
memcpy:
    mov %rdi, %rax
    cmp $16, %rdx
    jb 2f
    cmp $64, %rdx
    ja 1f
    /* 16…64: two halves of up to 32, from both ends */
    mov (%rsi), %r8
    mov 8(%rsi), %r9
    mov -16(%rsi,%rdx), %r10
    mov -8(%rsi,%rdx), %r11
    cmp $32, %rdx
    jbe 3f
    mov 16(%rsi), %rcx
    mov %rcx, 16(%rdi)
    mov 24(%rsi), %rcx
    mov %rcx, 24(%rdi)
    mov -32(%rsi,%rdx), %rcx
    mov %rcx, -32(%rdi,%rdx)
    mov -24(%rsi,%rdx), %rcx
    mov %rcx, -24(%rdi,%rdx)
3:  mov %r8, (%rdi)
    mov %r9, 8(%rdi)
    mov %r10, -16(%rdi,%rdx)
    mov %r11, -8(%rdi,%rdx)
    ret
1:  /* above 64: words, then the last word again from the end */
    mov -8(%rsi,%rdx), %r8
    lea -8(%rdi,%rdx), %r9
    mov %rdx, %rcx
    shr $3, %rcx
    rep movsq
    mov %r8, (%r9)
    ret
2:  cmp $8, %rdx
    jae 4f
    cmp $4, %rdx
    jae 5f
    test %rdx, %rdx
    jz 6f
    movzbl (%rsi), %ecx
    movzbl -1(%rsi,%rdx), %r8d
    cmp $2, %rdx
    jbe 7f
    movzbl 1(%rsi), %r9d
    mov %r9b, 1(%rdi)
7:  mov %cl, (%rdi)
    mov %r8b, -1(%rdi,%rdx)
6:  ret
4:  mov (%rsi), %r8
    mov -8(%rsi,%rdx), %r9
    mov %r8, (%rdi)
    mov %r9, -8(%rdi,%rdx)
    ret
5:  mov (%rsi), %r8d
    mov -4(%rsi,%rdx), %r9d
    mov %r8d, (%rdi)
    mov %r9d, -4(%rdi,%rdx)
    ret

    .globl memmove
    .type memmove, @function
memmove:
    mov %rdi, %rax
    sub %rsi, %rax
    cmp %rdx, %rax              /* to - from, unsigned: below n means overlap the wrong way */
    jae memcpy_forward
    lea -1(%rsi,%rdx), %rsi
    mov %rdi, %rax
    lea -1(%rdi,%rdx), %rdi
    mov %rdx, %rcx
    std
    rep movsb
    cld
    ret
memcpy_forward:
    cmp $8, %rdx
    jb memcpy                   /* loads everything before it stores */
    mov %rsi, %rcx
    sub %rdi, %rcx
    cmp $8, %rcx
    jb 1f
    mov -8(%rsi,%rdx), %r8
    lea -8(%rdi,%rdx), %r9
    mov %rdi, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    rep movsq
    mov %r8, (%r9)
    ret
1:  mov %rdi, %rax              /* from lies less than a word above to */
    mov %rdx, %rcx
    rep movsb
    ret

    .globl memset
    .type memset, @function
memset:
    mov %rdi, %r9
    movzbl %sil, %eax
    mov $0x0101010101010101, %rcx
    imul %rcx, %rax
    cmp $8, %rdx
    jb 1f
    mov %rax, -8(%rdi,%rdx)
    mov %rdx, %rcx
    shr $3, %rcx
    rep stosq
    mov %r9, %rax
    ret
1:  mov %edx, %ecx
    rep stosb
    mov %r9, %rax
    ret

    .globl memcmp
    .type memcmp, @function
memcmp:
    cmp $8, %rdx
    jb 2f
1:  mov (%rdi), %rax
    mov (%rsi), %rcx
    cmp %rcx, %rax
    jne 3f
    add $8, %rdi
    add $8, %rsi
    sub $8, %rdx
    cmp $8, %rdx
    jae 1b
2:  test %rdx, %rdx
    jz 4f
5:  movzbl (%rdi), %eax
    movzbl (%rsi), %ecx
    sub %ecx, %eax
    jnz 6f
    inc %rdi
    inc %rsi
    dec %rdx
    jnz 5b
4:  xor %eax, %eax
6:  ret
3:  bswap %rax
    bswap %rcx
    cmp %rcx, %rax
    sbb %eax, %eax
    or $1, %eax
    ret
