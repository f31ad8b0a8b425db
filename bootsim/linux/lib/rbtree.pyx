"""Red-black trees, shape for shape those of the kernel (lib/rbtree.c, include/linux/rbtree_augmented.h).

Nodes are numbers from 1 on, 0 is NULL; what a node stands for is kept by its owner, under the same number. An augmented
tree keeps at each node the largest `size` in its subtree, as RB_DECLARE_CALLBACKS_MAX() does; which nodes the kernel
then looks at depends on the shape. Where the kernel's code comes in two mirrored halves, here is one with a side.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

cdef enum:
    FIRST_CAPACITY = 64


cdef class RbTree:
    """struct rb_root with room for its nodes. `augmented`: every node knows the largest `size` of its subtree."""

    def __cinit__(self, bint augmented=False):
        self.augmented = augmented
        self.root = self.spare = RB_NONE
        self.nodes = NULL
        self.capacity = 0
        self.grow()

    def __dealloc__(self):
        free(self.nodes)

    def __deepcopy__(self, memo):
        cdef RbTree other = type(self).__new__(type(self), self.augmented)
        other.copy_from(self)
        memo[id(self)] = other
        return other

    def copy_from(self, RbTree other not None):
        """Become a tree in the same state as another."""
        cdef RbNode *nodes = <RbNode *>malloc(other.capacity * sizeof(RbNode))
        if nodes == NULL:
            raise MemoryError
        memcpy(nodes, other.nodes, other.capacity * sizeof(RbNode))
        free(self.nodes)
        self.nodes, self.capacity, self.spare = nodes, other.capacity, other.spare
        self.root, self.count, self.augmented = other.root, other.count, other.augmented

    # ---------------------------------------------------------------- numbers of nodes

    cdef int grow(self) except -1:
        cdef uint32_t old = self.capacity
        cdef uint32_t capacity = old * 2 if old else FIRST_CAPACITY
        cdef uint32_t n
        cdef RbNode *nodes = <RbNode *>realloc(self.nodes, capacity * sizeof(RbNode))
        if nodes == NULL:
            raise MemoryError
        self.nodes, self.capacity = nodes, capacity
        memset(&nodes[old], 0, (capacity - old) * sizeof(RbNode))
        for n in range(capacity - 1, old if old else 1, -1):
            self.free_node(n)
        self.free_node(old if old else 1)
        return 0

    cdef uint32_t new_node(self) except 0:
        cdef uint32_t n
        if self.spare == RB_NONE:
            self.grow()
        n = self.spare
        self.spare = self.nodes[n].parent
        memset(&self.nodes[n], 0, sizeof(RbNode))
        return n

    cdef void free_node(self, uint32_t n) noexcept:
        self.nodes[n].parent, self.nodes[n].red = self.spare, RB_UNUSED
        self.spare = n

    cdef int check(self, uint32_t n) except -1:
        if n == RB_NONE or n >= self.capacity or self.nodes[n].red == RB_UNUSED:
            raise IndexError(f"no node {n} in this tree")
        return 0

    # ---------------------------------------------------------------- the augmented value

    cdef bint compute(self, uint32_t n, bint leave) noexcept:
        # True: with `leave`, the value is what it was
        cdef RbNode *node = &self.nodes[n]
        cdef uint32_t most = node.size
        if node.child[RB_LEFT] and self.nodes[node.child[RB_LEFT]].most > most:
            most = self.nodes[node.child[RB_LEFT]].most
        if node.child[RB_RIGHT] and self.nodes[node.child[RB_RIGHT]].most > most:
            most = self.nodes[node.child[RB_RIGHT]].most
        if leave and node.most == most:
            return True
        node.most = most
        return False

    cdef void propagate(self, uint32_t n, uint32_t stop) noexcept:
        while n != stop and not self.compute(n, True):
            n = self.nodes[n].parent

    cdef void rotated(self, uint32_t old, uint32_t new) noexcept:
        if self.augmented:
            self.nodes[new].most = self.nodes[old].most
            self.compute(old, False)

    # ---------------------------------------------------------------- insertion

    cdef void rb_link_node(self, uint32_t n, uint32_t parent, int side) noexcept:
        cdef RbNode *node = &self.nodes[n]
        node.parent = parent
        node.child[RB_LEFT] = node.child[RB_RIGHT] = RB_NONE
        node.red = True
        if parent:
            self.nodes[parent].child[side] = n
        else:
            self.root = n
        self.count += 1

    cdef void change_child(self, uint32_t old, uint32_t new, uint32_t parent) noexcept:
        if not parent:
            self.root = new
        elif self.nodes[parent].child[RB_LEFT] == old:
            self.nodes[parent].child[RB_LEFT] = new
        else:
            self.nodes[parent].child[RB_RIGHT] = new

    cdef void rotate_set_parents(self, uint32_t old, uint32_t new, bint red) noexcept:
        cdef uint32_t parent = self.nodes[old].parent
        self.nodes[new].parent, self.nodes[new].red = parent, self.nodes[old].red
        self.nodes[old].parent, self.nodes[old].red = new, red
        self.change_child(old, new, parent)

    cdef void rb_insert_color(self, uint32_t n) noexcept:
        # __rb_insert(): `side` is where the parent is below the grandparent
        cdef RbNode *node = self.nodes
        cdef uint32_t parent = node[n].parent
        cdef uint32_t above, uncle, inner
        cdef int side
        while True:
            if not parent:
                node[n].red = False
                return
            if not node[parent].red:
                return
            above = node[parent].parent
            side = RB_RIGHT if node[above].child[RB_RIGHT] == parent else RB_LEFT
            uncle = node[above].child[1 - side]
            if uncle and node[uncle].red:
                node[uncle].red = node[parent].red = False
                n, parent = above, node[above].parent
                node[n].red = True
                continue
            inner = node[parent].child[1 - side]
            if n == inner:
                inner = node[n].child[side]
                node[parent].child[1 - side], node[n].child[side] = inner, parent
                if inner:
                    node[inner].parent, node[inner].red = parent, False
                node[parent].parent, node[parent].red = n, True
                self.rotated(parent, n)
                parent = n
                inner = node[n].child[1 - side]
            node[above].child[side], node[parent].child[1 - side] = inner, above
            if inner:
                node[inner].parent, node[inner].red = above, False
            self.rotate_set_parents(above, parent, True)
            self.rotated(above, parent)
            return

    # ---------------------------------------------------------------- removal

    cdef void rb_erase(self, uint32_t n) noexcept:
        # __rb_erase_augmented(), then what it leaves to balance
        cdef RbNode *node = self.nodes
        cdef uint32_t left = node[n].child[RB_LEFT]
        cdef uint32_t right = node[n].child[RB_RIGHT]
        cdef uint32_t parent = node[n].parent
        cdef uint32_t only, successor, below, unbalanced = RB_NONE
        self.count -= 1
        if not left or not right:
            only = left if left else right
            self.change_child(n, only, parent)
            if only:
                node[only].parent, node[only].red = parent, node[n].red
            elif not node[n].red:
                unbalanced = parent
            if self.augmented:
                self.propagate(parent, RB_NONE)
        else:
            successor = parent = right
            while node[successor].child[RB_LEFT]:
                parent, successor = successor, node[successor].child[RB_LEFT]
            below = node[successor].child[RB_RIGHT]
            if successor == right:
                parent = successor
                node[successor].most = node[n].most
            else:
                node[parent].child[RB_LEFT] = below
                node[successor].child[RB_RIGHT] = right
                node[right].parent = successor
                node[successor].most = node[n].most
                if self.augmented:
                    self.propagate(parent, successor)
            node[successor].child[RB_LEFT] = left
            node[left].parent = successor
            self.change_child(n, successor, node[n].parent)
            if below:
                node[below].parent, node[below].red = parent, False
            elif not node[successor].red:
                unbalanced = parent
            node[successor].parent, node[successor].red = node[n].parent, node[n].red
            if self.augmented:
                self.propagate(successor, RB_NONE)
        if unbalanced:
            self.erase_color(unbalanced)

    cdef void erase_color(self, uint32_t parent) noexcept:
        # ____rb_erase_color(): `side` is where below the parent a black node is missing
        cdef RbNode *node = self.nodes
        cdef uint32_t n = RB_NONE
        cdef uint32_t sibling, outer, inner
        cdef int side
        while True:
            side = RB_RIGHT if node[parent].child[RB_RIGHT] == n else RB_LEFT
            sibling = node[parent].child[1 - side]
            if node[sibling].red:
                inner = node[sibling].child[side]
                node[parent].child[1 - side], node[sibling].child[side] = inner, parent
                node[inner].parent, node[inner].red = parent, False
                self.rotate_set_parents(parent, sibling, True)
                self.rotated(parent, sibling)
                sibling = inner
            outer = node[sibling].child[1 - side]
            if not outer or not node[outer].red:
                inner = node[sibling].child[side]
                if not inner or not node[inner].red:
                    node[sibling].parent, node[sibling].red = parent, True
                    if node[parent].red:
                        node[parent].red = False
                        return
                    n, parent = parent, node[parent].parent
                    if not parent:
                        return
                    continue
                outer = node[inner].child[1 - side]
                node[sibling].child[side], node[inner].child[1 - side] = outer, sibling
                node[parent].child[1 - side] = inner
                if outer:
                    node[outer].parent, node[outer].red = sibling, False
                self.rotated(sibling, inner)
                outer, sibling = sibling, inner
            inner = node[sibling].child[side]
            node[parent].child[1 - side], node[sibling].child[side] = inner, parent
            node[outer].parent, node[outer].red = sibling, False
            if inner:
                node[inner].parent = parent
            self.rotate_set_parents(parent, sibling, False)
            self.rotated(parent, sibling)
            return

    # ---------------------------------------------------------------- in order

    cdef uint32_t outermost(self, int side) noexcept:
        cdef uint32_t n = self.root
        while n and self.nodes[n].child[side]:
            n = self.nodes[n].child[side]
        return n

    cdef uint32_t beside(self, uint32_t n, int side) noexcept:
        cdef uint32_t at = self.nodes[n].child[side]
        if at:
            while self.nodes[at].child[1 - side]:
                at = self.nodes[at].child[1 - side]
            return at
        at = self.nodes[n].parent
        while at and self.nodes[at].child[side] == n:
            n, at = at, self.nodes[at].parent
        return at

    cdef uint32_t rb_first(self) noexcept:
        return self.outermost(RB_LEFT)

    cdef uint32_t rb_last(self) noexcept:
        return self.outermost(RB_RIGHT)

    cdef uint32_t rb_next(self, uint32_t n) noexcept:
        return self.beside(n, RB_RIGHT)

    cdef uint32_t rb_prev(self, uint32_t n) noexcept:
        return self.beside(n, RB_LEFT)

    # ---------------------------------------------------------------- from Python

    def insert(self, uint32_t parent, bint right, uint32_t size=0):
        """Link a new node below `parent` (0: as the root), on the left or the right, and balance; its number.

        Raises IndexError for a parent that is no node, ValueError where there is one already. In an augmented tree the
        values above are brought up to date afterwards, as insert_vmap_area_augment() does.
        Source: include/linux/rbtree.h rb_link_node(), lib/rbtree.c rb_insert_color()
        """
        cdef uint32_t n
        if parent:
            self.check(parent)
        if self.nodes[parent].child[right] if parent else self.root:
            raise ValueError(f"node {parent} has a child on that side")
        n = self.new_node()
        self.nodes[n].size = size
        self.rb_link_node(n, parent, RB_RIGHT if right else RB_LEFT)
        self.rb_insert_color(n)
        if self.augmented:
            self.nodes[n].most = 0
            self.propagate(n, RB_NONE)
        return n

    def erase(self, uint32_t n):
        """Take a node out, and forget its number. Raises IndexError.

        Source: lib/rbtree.c rb_erase(), include/linux/rbtree_augmented.h rb_erase_augmented()
        """
        self.check(n)
        self.rb_erase(n)
        self.free_node(n)

    def resize(self, uint32_t n, uint32_t size):
        """Give a node of an augmented tree another size, and the nodes above theirs. Raises IndexError."""
        self.check(n)
        self.nodes[n].size = size
        self.propagate(n, RB_NONE)

    def node(self, uint32_t n):
        """(parent, left, right, red, size, most) of a node; 0 is no node. Raises IndexError."""
        self.check(n)
        cdef RbNode *node = &self.nodes[n]
        return (node.parent, node.child[RB_LEFT], node.child[RB_RIGHT], bool(node.red), node.size, node.most)

    def __iter__(self):
        """The numbers of the nodes, in order."""
        cdef uint32_t n = self.rb_first()
        while n:
            yield n
            n = self.rb_next(n)
