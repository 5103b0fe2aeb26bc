/* SPDX-License-Identifier: MIT */
/* What a CPU executes after the startup IPI: copied to TRAMPOLINE (below 1 MiB), from real mode
   to long mode on the boot page tables (identity-mapped low memory), then to secondary_entry64
   with what smp.cc left in trampoline_args. */

#define TRAMPOLINE 0x8000
#define REL(x) (TRAMPOLINE + (x) - trampoline_start)

    .section .rodata
    .balign 16
    .globl trampoline_start, trampoline_end, trampoline_args
    .code16
trampoline_start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    lgdtl REL(gdt_ptr)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x08, $REL(protected)

    .code32
protected:
    mov $0x18, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov REL(arg_pml4), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    and $0x9fffffff, %eax       /* CD, NW off */
    or $0x80010001, %eax
    mov %eax, %cr0
    ljmp $0x10, $REL(long_mode)

    .code64
long_mode:
    mov REL(arg_cpu), %rdi
    mov REL(arg_stack), %rsi
    mov REL(arg_pgd), %rdx
    mov REL(arg_entry), %rax
    jmp *%rax

    .balign 8
trampoline_args:
arg_pml4:   .quad 0
arg_cpu:    .quad 0
arg_stack:  .quad 0
arg_pgd:    .quad 0
arg_entry:  .quad 0
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
gdt_ptr:
    .word gdt_ptr - gdt - 1
    .long REL(gdt)
trampoline_end:
