@ A program without a system: it takes page tables that lie in RAM, asks the processor to translate by them (ATS1C..) and
@ makes real loads, stores and jumps by them, and notes what came of each. qemu.py says where everything lies.
@
@ It runs at `home`, an address that every table maps to it. Between two probes its own table is in use (`away`), which
@ maps RAM to itself, all domains managers. During a probe nothing but registers is used.
@
@ With OLD it is for processors before ARMv7: `home` is 0, where their vectors are. ARMv5, with V5, has one table and no
@ attributes by PRRR; nobody asks it to translate.
@
@   r4 probes left   r5 next probe   r6 next result   r7 case   r9 parameters   r11 where an exception returns to
@   a probe answers r0: 0 done, 1 data abort, 2 prefetch abort, 3 undefined;  r1, r2: what there is to tell

	.ifdef	OLD
	.arch	armv5te
	.ifdef	V5
	.equ	MMU_ON, 0x00050079
	.else
	.equ	MMU_ON, 0x00850079		@ with the tables of ARMv6
	.endif
	.else
	.arch	armv7-a
	.equ	MMU_ON, 0x00c50079		@ MMU on, low vectors, no TRE, AFE, A
	.endif
	.arm
	.text

	.macro	sync				@ what was written to a register holds from here on
	.ifndef	OLD
	isb
	.else
	nop
	nop
	nop
	.endif
	.endm

	.macro	access instruction:vararg	@ a probe of two words
	\instruction
	bx	r11
	.endm

	.equ	PARAMETERS, 0x1000	@ behind `vectors`: home, own table, cases, first case, results, their bytes, fills
	.equ	MANAGERS, 0xffffffff
	.equ	SYS_MODE, 0xdf		@ interrupts masked
	.equ	SVC_MODE, 0xd3
	.equ	USER_MODE, 0xd0

vectors:
	b	start
	b	undefined
	b	supervisor
	b	prefetch_abort
	b	data_abort

undefined:
	mov	r0, #3
	mov	r1, lr
	mov	r2, #0
	b	back
supervisor:				@ the word at the target was executed: read it, whoever may
	mvn	r2, #0
	mcr	p15, 0, r2, c3, c0, 0
	sync
	mov	r0, #0
	ldr	r1, [lr, #-4]
	mov	r2, #0
	b	back
prefetch_abort:
	mov	r0, #2
	mrc	p15, 0, r1, c5, c0, 1
	.ifdef	V5
	sub	r2, lr, #4
	.else
	mrc	p15, 0, r2, c6, c0, 2
	.endif
	b	back
data_abort:
	mov	r0, #1
	mrc	p15, 0, r1, c5, c0, 0
	mrc	p15, 0, r2, c6, c0, 0
back:
	msr	cpsr_c, #SYS_MODE
	bx	r11

start:
	msr	cpsr_c, #SYS_MODE
	adr	r8, vectors
	add	r9, r8, #PARAMETERS
	ldr	r10, [r9]
	.ifndef	OLD
	mcr	p15, 0, r10, c12, c0, 0		@ VBAR
	.endif
	mvn	r0, #0
	mcr	p15, 0, r0, c3, c0, 0
	.ifndef	V5
	mov	r0, #0
	mcr	p15, 0, r0, c2, c0, 2
	.endif
	ldr	r0, [r9, #4]
	mcr	p15, 0, r0, c2, c0, 0
	mcr	p15, 0, r0, c8, c7, 0
	ldr	r0, =MMU_ON
	mcr	p15, 0, r0, c1, c0, 0
	sync
	adr	r0, at_home
	sub	r0, r0, r8
	add	r0, r0, r10
	bx	r0

at_home:
	ldr	r3, [r9, #24]			@ fills: how many, then first and end address
	add	r0, r9, #28
next_fill:
	subs	r3, r3, #1
	blo	filled
	ldr	r1, [r0], #4
	ldr	r2, [r0], #4
	ldr	r12, =0xef800000		@ an SVC that tells where it stands
fill:
	mov	r8, r1, lsl #7			@ bits 24:2
	mov	r8, r8, lsr #9
	orr	r8, r8, r12
	str	r8, [r1], #4
	cmp	r1, r2
	blo	fill
	b	next_fill
filled:
	ldr	r3, [r9, #8]
	ldr	r7, [r9, #12]
	ldr	r6, [r9, #16]
next_case:
	subs	r3, r3, #1
	blo	done
	mov	r10, r3				@ cases left, while probes are made
	ldr	r4, [r7, #32]
	ldr	r5, [r7, #36]
next_probe:
	subs	r4, r4, #1
	addlo	r7, r7, #40
	movlo	r3, r10
	blo	next_case

	.ifndef	V5
	ldr	r0, [r7, #20]
	mcr	p15, 0, r0, c10, c2, 0		@ PRRR
	ldr	r0, [r7, #24]
	mcr	p15, 0, r0, c10, c2, 1		@ NMRR
	ldr	r0, [r7, #28]
	mcr	p15, 0, r0, c13, c0, 1		@ CONTEXTIDR
	ldr	r0, [r7, #8]
	mcr	p15, 0, r0, c2, c0, 1		@ TTBR1
	.endif
	ldr	r12, [r5], #4			@ address
	ldr	r8, [r5], #4			@ kind
	ldr	r0, [r7, #12]
	ldr	r1, [r7, #4]
	ldr	r2, [r7]
	ldr	r3, [r7, #16]
	adr	r11, away
	.ifndef	V5
	mcr	p15, 0, r0, c2, c0, 2		@ TTBCR
	sync
	.endif
	mcr	p15, 0, r1, c2, c0, 0		@ TTBR0
	mcr	p15, 0, r1, c8, c7, 0		@ TLBIALL
	sync
	mcr	p15, 0, r2, c1, c0, 0		@ SCTLR
	sync
	mcr	p15, 0, r3, c3, c0, 0		@ DACR
	sync

	mov	r0, #0
	mov	r1, #0
	mov	r2, #0
	mov	r3, r12, lsl #9			@ what a store writes
	mov	r3, r3, lsr #9
	orr	r3, r3, #0xef000000
	orr	r3, r3, #0x00800000
	add	pc, pc, r8, lsl #3
	nop
	mcr	p15, 0, r12, c7, c8, 0		@ 0: ATS1CPR
	b	par
	mcr	p15, 0, r12, c7, c8, 1		@ 1: ATS1CPW
	b	par
	mcr	p15, 0, r12, c7, c8, 2		@ 2: ATS1CUR
	b	par
	mcr	p15, 0, r12, c7, c8, 3		@ 3: ATS1CUW
	b	par
	access	str r3, [r12]		@ 4
	access	ldr r1, [r12]		@ 5
	access	strt r3, [r12]		@ 6
	access	ldrt r1, [r12]		@ 7
	bx	r12				@ 8: execute
	nop
	b	as_user				@ 9: execute as a program
	nop
	access	ldrh r1, [r12]		@ 10
	access	ldrb r1, [r12]		@ 11
	access	strh r3, [r12]		@ 12
	access	strb r3, [r12]		@ 13
par:
	sync
	mrc	p15, 0, r1, c7, c4, 0
	bx	r11
as_user:
	msr	cpsr_c, #SVC_MODE
	mov	r8, #USER_MODE
	msr	spsr_cxsf, r8
	mov	lr, r12
	movs	pc, lr

away:
	mvn	r3, #0
	mcr	p15, 0, r3, c3, c0, 0
	sync
	ldr	r3, =MMU_ON
	mcr	p15, 0, r3, c1, c0, 0
	sync
	mov	r12, r0
	ldr	r3, own_table			@ beside the code: parameters are not mapped here yet
	mcr	p15, 0, r3, c2, c0, 0
	sync
	mov	r3, #0
	.ifndef	V5
	mcr	p15, 0, r3, c2, c0, 2
	.endif
	mcr	p15, 0, r3, c8, c7, 0
	sync
	str	r12, [r6], #4
	str	r1, [r6], #4
	str	r2, [r6], #4
	b	next_probe

done:
	adr	r1, open_block			@ semihosting: the results go to a file of the host
	adr	r0, file_name
	str	r0, [r1]
	mov	r0, #1
	svc	0x123456
	adr	r1, write_block
	str	r0, [r1]
	ldr	r0, [r9, #16]
	str	r0, [r1, #4]
	ldr	r0, [r9, #20]
	str	r0, [r1, #8]
	mov	r0, #5
	svc	0x123456
	mov	r0, #0x18
	ldr	r1, =0x20026
	svc	0x123456
	b	.

	.ltorg
	.balign	4
open_block:
	.word	0, 5, 7
write_block:
	.word	0, 0, 0
file_name:
	.asciz	"results"
	.balign	4
own_table:
	.word	0				@ the host writes it
	.word	0x0b007ab1			@ the last word, by which the host finds own_table
