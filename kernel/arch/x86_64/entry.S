/* SPDX-License-Identifier: MIT */
/* The doors of the kernel: system calls, interrupts, exceptions, the context switch, the first
   step of a new task. Frame layout: asm/ptregs.h. In kernel mode GS base is this CPU's x86_cpu;
   swapgs at each change of mode. */

#define CPU_CURRENT   %gs:8
#define CPU_KERNEL_SP %gs:128
#define CPU_USER_SP   %gs:136
#define CPU_FPU_OWNER %gs:144

#define R11     48
#define AX      80
#define CX      88
#define ORIG_AX 120
#define IP      128
#define CS      136
#define FLAGS   144
#define SP      152

/* C++ functions of arch/arch.h that are called from here. */
#define do_syscall    _Z10do_syscallP7pt_regs
#define exit_to_user  _Z12exit_to_userP7pt_regs
#define schedule_tail _Z13schedule_tailP11task_struct

#define USER_DS 0x2b
#define USER_CS 0x33
#define RF_TF   0x10100

    .macro push_regs_but_di rax=%rax
    push %rsi
    push %rdx
    push %rcx
    push \rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro push_regs rax=%rax
    push %rdi
    push_regs_but_di \rax
    .endm

    .macro pop_callee_saved
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    .endm

    /* Up to the return frame. */
    .macro pop_regs
    pop_callee_saved
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    add $8, %rsp                /* orig_ax */
    .endm

    .section .text.entry, "ax", @progbits

/* System call: %rax number, arguments in rdi rsi rdx r10 r8 r9; the CPU left rip in rcx, rflags
   in r11, IRQs off. */
    .globl syscall_entry
    .type syscall_entry, @function
syscall_entry:
    swapgs
    mov %rsp, CPU_USER_SP
    mov CPU_KERNEL_SP, %rsp
    push $USER_DS
    push CPU_USER_SP
    push %r11
    push $USER_CS
    push %rcx
    push %rax
    push_regs $-38              /* -ENOSYS until the call says otherwise */
    mov %rsp, %rdi
    xor %ebp, %ebp              /* frame chain ends here */
    call do_syscall             /* all but the way back; IRQs are off again */
    mov %rax, AX(%rsp)
syscall_done:
    mov CPU_FPU_OWNER, %rax
    cmp CPU_CURRENT, %rax
    jne restore_fpu_then_return
checked_return:
    /* sysret only if it gives exactly what iret would: rcx = rip, r11 = rflags, rip canonical
       and in user space (with a non-canonical rip sysret faults in kernel mode on the user's
       stack), no RF or TF. */
    mov CX(%rsp), %rcx
    mov R11(%rsp), %r11
    cmp %rcx, IP(%rsp)
    jne return_by_iret
    cmp %r11, FLAGS(%rsp)
    jne return_by_iret
    mov %rcx, %rax
    shr $47, %rax
    jnz return_by_iret
    test $RF_TF, %r11d
    jnz return_by_iret
    cmpq $USER_CS, CS(%rsp)
    jne return_by_iret
    pop_callee_saved
    add $8, %rsp                /* r11 */
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    add $8, %rsp                /* rcx */
    pop %rdx
    pop %rsi
    pop %rdi
    mov SP - ORIG_AX(%rsp), %rsp
    swapgs
    sysretq

restore_fpu_then_return:
    call fpu_restore_current
    jmp checked_return

/* A task's first way to user mode. */
    .globl syscall_return
syscall_return:
    cli
    mov %rsp, %rdi
    call exit_to_user
    jmp syscall_done

/* %rsp = pt_regs of user mode, IRQs off, all work done. */
return_by_iret:
    pop_regs
    swapgs
    .globl user_iret
user_iret:
    iretq

/* Interrupts and exceptions without special stacks. The stub pushed an error code (or vector)
   and jumped here with the handler in the slot that will hold rdi… (see the macros below). */
    .macro entry_common handler
    testb $3, 16(%rsp)          /* cs: orig_ax, ip, cs */
    jz 1f
    swapgs
1:  push_regs
    cld
    mov %rsp, %rdi
    /* From kernel code the frame chain goes on through the interrupted frame. */
    testb $3, CS(%rsp)
    jz 2f
    xor %ebp, %ebp
2:  call \handler
    .endm

    .type interrupt_common, @function
interrupt_common:
    entry_common x86_interrupt
return_from_trap:
    testb $3, CS(%rsp)
    jz return_to_kernel
    cli
    mov %rsp, %rdi
    call exit_to_user
    mov CPU_FPU_OWNER, %rax
    cmp CPU_CURRENT, %rax
    je return_by_iret
    call fpu_restore_current
    jmp return_by_iret

return_to_kernel:
    pop_regs
    iretq

    .type exception_common, @function
exception_common:               /* stack: handler, error code, frame */
    /* A fault of user_iret itself comes with kernel cs but the user's GS base. */
    cmpq $user_iret, 16(%rsp)
    je bad_iret
    testb $3, 24(%rsp)
    jz 1f
    swapgs
1:  push_regs_but_di
    mov 14 * 8(%rsp), %rax      /* the handler; its slot becomes rdi */
    mov %rdi, 14 * 8(%rsp)
    cld
    mov %rsp, %rdi
    testb $3, CS(%rsp)
    jz 2f
    xor %ebp, %ebp
2:  call *%rax
    jmp return_from_trap

/* The frame to return through was bad (sigreturn, ptrace): end the process. The faulting frame
   lies on the kernel stack below. */
bad_iret:
    swapgs
    mov CPU_KERNEL_SP, %rsp
    sub $168, %rsp
    mov %rsp, %rdi
    xor %ebp, %ebp
    call x86_bad_iret
    jmp return_from_trap

/* NMI, double fault, machine check, debug: own stacks; which GS base is loaded cannot be told
   from cs. */
    .type paranoid_common, @function
paranoid_common:                /* stack: handler, error code, frame */
    push_regs_but_di
    mov 14 * 8(%rsp), %r12
    mov %rdi, 14 * 8(%rsp)
    cld
    mov $0xc0000101, %ecx
    rdmsr
    xor %ebx, %ebx
    test %edx, %edx
    js 1f
    swapgs
    mov $1, %ebx
1:  mov %rsp, %rdi
    mov 32(%rsp), %rbp
    call *%r12
    test %ebx, %ebx
    jz return_to_kernel
    swapgs
    jmp return_to_kernel

    .macro exception name, handler, has_code, common=exception_common
    .globl \name
    .type \name, @function
\name:
    .if \has_code == 0
    push $0
    .endif
    push $\handler
    jmp \common
    .endm

    exception trap_de, x86_trap_de, 0
    exception trap_db, x86_trap_db, 0, paranoid_common
    exception trap_nmi, x86_trap_nmi, 0, paranoid_common
    exception trap_bp, x86_trap_bp, 0
    exception trap_of, x86_trap_of, 0
    exception trap_br, x86_trap_br, 0
    exception trap_ud, x86_trap_ud, 0
    exception trap_nm, x86_trap_nm, 0
    exception trap_df, x86_trap_df, 1, paranoid_common
    exception trap_ts, x86_trap_ts, 1
    exception trap_np, x86_trap_np, 1
    exception trap_ss, x86_trap_ss, 1
    exception trap_gp, x86_trap_gp, 1
    exception trap_pf, x86_trap_pf, 1
    exception trap_mf, x86_trap_mf, 0
    exception trap_ac, x86_trap_ac, 1
    exception trap_mc, x86_trap_mc, 0, paranoid_common
    exception trap_xm, x86_trap_xm, 0
    exception trap_other, x86_trap_other, 0

/* One stub of 16 bytes for each vector from 32: push the number, go on. */
    .balign 16
    .globl interrupt_stubs
interrupt_stubs:
    .set vector, 32
    .rept 224
    .balign 16
    push $vector - 256          /* negative: never mistaken for a system call */
    jmp interrupt_common
    .set vector, vector + 1
    .endr

/* u64 *prev_sp (rdi), u64 next_sp (rsi), task_struct *prev (rdx): switch stacks; returns prev in
   the next task's context. */
    .globl x86_switch_stack
    .type x86_switch_stack, @function
x86_switch_stack:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    mov %rdx, %rax
    ret

/* First code of a kernel thread: rbx = entry, r12 = argument, rax = previous task. */
    .globl x86_thread_start
    .type x86_thread_start, @function
x86_thread_start:
    xor %ebp, %ebp
    mov %rax, %rdi
    call schedule_tail
    mov %r12, %rdi
    call *%rbx
    ud2

/* First code of a forked task: its pt_regs lie above. */
    .globl x86_fork_return
    .type x86_fork_return, @function
x86_fork_return:
    xor %ebp, %ebp
    mov %rax, %rdi
    call schedule_tail
    jmp syscall_return

/* rdi = pt_regs at the top of this task's stack: leave the kernel through them. */
    .globl x86_return_to_user
    .type x86_return_to_user, @function
x86_return_to_user:
    mov %rdi, %rsp
    xor %ebp, %ebp
    jmp syscall_return

/* rdi = new stack top, rsi = function: run it there, for ever. */
    .globl x86_call_on_stack
    .type x86_call_on_stack, @function
x86_call_on_stack:
    mov %rdi, %rsp
    xor %ebp, %ebp
    call *%rsi
    ud2
