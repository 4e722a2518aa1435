package resolve

import (
	"sync"

	"imprint/internal/tree"
)

// attrTable gives equal attributes one pointer, so that a large tree stays small.
type attrTable struct {
	mu    sync.Mutex
	known map[attrKey]*tree.Attr
}

type attrKey struct {
	mode     uint16
	uid, gid uint32
	mtime    tree.Time
}

func (t *attrTable) attr(a tree.Attr) *tree.Attr {
	key := attrKey{a.Mode, a.UID, a.GID, a.Mtime}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[attrKey]*tree.Attr{}
	}
	if t.known[key] == nil {
		t.known[key] = &a
	}
	return t.known[key]
}
