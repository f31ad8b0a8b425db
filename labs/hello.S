@ The source of hello.ko, a module that insmod() of the labs can load: a function of each kind, data of each kind.
@
@	arm-linux-gnueabi-as -march=armv7-a -o hello.ko hello.S
@
@ A module of the kernel's build has more (relocations to the kernel, versions, notes); what bootsim looks at is here.
@ The layout of struct module is the build's: this one is 0x180 bytes, as an SMP kernel with KALLSYMS may have it.

	.syntax	unified
	.arm

	.text					@ stays: core, executable
	.globl	hello_read
	.type	hello_read, %function
hello_read:
	ldr	r1, =hello_count
	ldr	r0, [r1]
	add	r0, r0, #1
	str	r0, [r1]
	bx	lr
	.ltorg

	.section .init.text, "ax", %progbits	@ goes when it has run: init, executable
	.globl	init_module
	.type	init_module, %function
init_module:
	mov	r0, #0
	bx	lr

	.section .exit.text, "ax", %progbits	@ stays with MODULE_UNLOAD
	.globl	cleanup_module
	.type	cleanup_module, %function
cleanup_module:
	bx	lr

	.section .rodata, "a", %progbits	@ core, read-only
	.asciz	"read me"
	.balign	4

	.section .init.rodata, "a", %progbits	@ init, read-only
	.asciz	"read me soon"
	.balign	4

	.section .data..ro_after_init, "aw", %progbits	@ core, read-only behind the init function
	.balign	4
	.word	0x600d

	.section .plt, "ax", %progbits		@ core and init: room for jumps that reach further than a branch
	.byte	0
	.section .init.plt, "ax", %progbits
	.byte	0

	.data					@ core
	.balign	4
hello_count:
	.word	41

	.section .init.data, "aw", %progbits	@ init
	.word	0x1000

	.bss					@ core, no bytes in the file
	.space	0x2000

	.section .modinfo, "a", %progbits	@ read, not loaded
	.asciz	"license=GPL"
	.asciz	"name=hello"

	.section .gnu.linkonce.this_module, "aw", %progbits
	.balign	64
	.space	0x180
