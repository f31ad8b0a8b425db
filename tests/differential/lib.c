/* The kernel's own lib/sort.c and lib/cmdline.c, and the number parser that the latter calls. */
#include "host.h"

#define isspace kernel_isspace
/* The kernel's ctype table is Latin-1: a no-break space is space. */
static inline int kernel_isspace(int c) { c &= 0xff; return (c >= 9 && c <= 13) || c == 32 || c == 160; }

static char *skip_spaces(const char *s) { while (kernel_isspace(*s)) s++; return (char *)s; }

/* vsprintf.c's parser, written anew: prefix 0x or 0 where base is 0, digits as far as they go, modulo 2**64. */
unsigned long long simple_strtoull(const char *cp, char **endp, unsigned int base)
{
	unsigned long long value = 0;

	if (!base) {
		base = 10;
		if (*cp == '0')
			base = (cp[1] | 0x20) == 'x' && isxdigit((unsigned char)cp[2]) ? 16 : 8;
	}
	if (base == 16 && *cp == '0' && (cp[1] | 0x20) == 'x')
		cp += 2;
	for (; isxdigit((unsigned char)*cp); cp++) {
		unsigned int digit = isdigit((unsigned char)*cp) ? *cp - '0' : (*cp | 0x20) - 'a' + 10;

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	if (endp)
		*endp = (char *)cp;
	return value;
}

long simple_strtol(const char *cp, char **endp, unsigned int base)
{
	return *cp == '-' ? -simple_strtoull(cp + 1, endp, base) : simple_strtoull(cp, endp, base);
}

typedef int (*cmp_func_t)(const void *, const void *);
typedef int (*cmp_r_func_t)(const void *, const void *, const void *);
typedef void (*swap_func_t)(void *, void *, int);

#include "lib-sort.c"
#include "lib-cmdline.c"

struct pair { int key, mark; };

static int by_key(const void *a, const void *b)
{
	return ((const struct pair *)a)->key - ((const struct pair *)b)->key;
}

void host_sort(struct pair *pairs, int n) { sort(pairs, n, sizeof(*pairs), by_key, NULL); }
