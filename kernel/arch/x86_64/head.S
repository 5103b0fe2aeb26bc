/* SPDX-License-Identifier: MIT */
/* First instructions. The boot loader enters at pvh_entry (the Xen PVH ABI: 32-bit protected
   mode, flat segments, no paging, %ebx = physical address of hvm_start_info). We build boot page
   tables (low 4 GiB identity-mapped, the image at KERNEL_BASE), switch to long mode and call
   x86_start(). Other CPUs come through trampoline.S to secondary_entry64. */

#define KERNEL_BASE 0xffffffff80000000
#define PHYS(x) ((x) - KERNEL_BASE)

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18              /* name size, desc size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad PHYS(pvh_entry)

    .section .text.head, "ax", @progbits
    .code32
    .globl pvh_entry
pvh_entry:
    cli
    cld
    mov $PHYS(boot_stack_top), %esp
    mov %ebx, %ebp

    /* Four page directories of 2 MiB pages: 0…4 GiB. */
    mov $PHYS(boot_pd), %edi
    mov $0x83, %eax             /* present, writable, large */
    mov $2048, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $8, %edi
    add $0x200000, %eax
    loop 1b

    mov $PHYS(boot_pd) + 3, %eax
    mov $PHYS(boot_pdpt_low), %edi
    mov $4, %ecx
2:  mov %eax, (%edi)
    add $8, %edi
    add $0x1000, %eax
    loop 2b
    /* The last two entries of the high table are KERNEL_BASE + 0 and + 1 GiB. */
    movl $PHYS(boot_pd) + 3, PHYS(boot_pdpt_high) + 510 * 8
    movl $PHYS(boot_pd) + 0x1003, PHYS(boot_pdpt_high) + 511 * 8
    movl $PHYS(boot_pdpt_low) + 3, PHYS(boot_pml4)
    movl $PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + 511 * 8

    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax              /* PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx       /* EFER.LME */
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80010001, %eax        /* PG, WP, PE */
    mov %eax, %cr0
    lgdt PHYS(boot_gdt_ptr32)
    ljmp $0x10, $PHYS(3f)

    .code64
3:  mov $4f, %rax
    jmp *%rax
4:  mov $0x18, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_stack_top, %rsp
    mov %ebp, %edi
    xor %ebp, %ebp
    push $0                     /* end of the frame chain */
    call x86_start
    ud2

/* A started CPU: long mode on the boot tables; %rdi = its x86_cpu, %rsi = stack top, %rdx =
   kernel pgd. The stack is mapped by the kernel's tables only, and those need EFER.NXE. */
    .globl secondary_entry64
secondary_entry64:
    mov %rdx, %r8
    testb $1, x86_features_found  /* .nx */
    jz 1f
    mov $0xc0000080, %ecx
    rdmsr
    or $0x800, %eax
    wrmsr
1:  mov %r8, %rdx
    mov %rdx, %cr3
    mov %rsi, %rsp
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    xor %ebp, %ebp
    push $0
    call x86_secondary_start
    ud2

    .section .rodata
    .balign 16
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00cf9a000000ffff    /* 0x08: 32-bit code, for the trampoline */
    .quad 0x00af9a000000ffff    /* 0x10: 64-bit code */
    .quad 0x00cf92000000ffff    /* 0x18: data */
boot_gdt_end:
boot_gdt_ptr32:
    .word boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)

    .bss
    .balign 4096
    .globl boot_pml4
boot_pml4:      .skip 4096
boot_pdpt_low:  .skip 4096
boot_pdpt_high: .skip 4096
boot_pd:        .skip 4 * 4096
    .globl boot_stack, boot_stack_top
boot_stack:     .skip 16384
boot_stack_top:
