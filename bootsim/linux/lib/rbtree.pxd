# Red-black trees of numbered nodes, plain or augmented with the largest size in each subtree.
from libc.stdint cimport uint32_t

cdef enum:
    RB_NONE = 0     # NULL: no node has this number
    RB_LEFT = 0
    RB_RIGHT = 1
    RB_UNUSED = 2   # in place of a colour: a number without a node


cdef struct RbNode:
    uint32_t parent
    uint32_t child[2]
    uint32_t red
    uint32_t size   # what an augmented tree keeps the largest of
    uint32_t most   # in the subtree


cdef class RbTree:
    cdef RbNode *nodes
    cdef readonly uint32_t capacity     # of `nodes`; numbers below it are valid
    cdef uint32_t spare                 # the first unused number, linked by `parent`
    cdef readonly uint32_t root
    cdef readonly uint32_t count        # nodes that are linked
    cdef readonly bint augmented

    cdef int grow(self) except -1
    cdef uint32_t new_node(self) except 0
    cdef void free_node(self, uint32_t n) noexcept
    cdef void rb_link_node(self, uint32_t n, uint32_t parent, int side) noexcept
    cdef void rb_insert_color(self, uint32_t n) noexcept
    cdef void rb_erase(self, uint32_t n) noexcept
    cdef void propagate(self, uint32_t n, uint32_t stop) noexcept
    cdef uint32_t rb_first(self) noexcept
    cdef uint32_t rb_last(self) noexcept
    cdef uint32_t rb_next(self, uint32_t n) noexcept
    cdef uint32_t rb_prev(self, uint32_t n) noexcept
    cdef bint compute(self, uint32_t n, bint leave) noexcept
    cdef void rotated(self, uint32_t old, uint32_t new) noexcept
    cdef void rotate_set_parents(self, uint32_t old, uint32_t new, bint red) noexcept
    cdef void change_child(self, uint32_t old, uint32_t new, uint32_t parent) noexcept
    cdef void erase_color(self, uint32_t parent) noexcept
    cdef uint32_t outermost(self, int side) noexcept
    cdef uint32_t beside(self, uint32_t n, int side) noexcept
    cdef int check(self, uint32_t n) except -1
