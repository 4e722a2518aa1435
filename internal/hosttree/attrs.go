package hosttree

import (
	"fmt"
	"strings"
	"sync"

	"imprint/internal/tree"
)

// attrs keeps one value for equal attributes, so that nodes share it.
type attrs struct {
	mu    sync.Mutex
	known map[attrKey]*tree.Attr
}

type attrKey struct {
	mode     uint16
	uid, gid uint32
	mtime    tree.Time
	xattrs   string
}

// of returns the attributes of a file as they are on the host, as a value that equal ones share.
func (a *attrs) of(h Host) *tree.Attr {
	key := attrKey{h.Mode, h.UID, h.GID, h.Mtime, xattrKey(h.Xattrs)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[attrKey]*tree.Attr{}
	}
	attr := a.known[key]
	if attr == nil {
		attr = &tree.Attr{Mode: h.Mode, UID: h.UID, GID: h.GID, Mtime: h.Mtime, Xattrs: h.Xattrs}
		a.known[key] = attr
	}
	return attr
}

// xattrKey makes a map key of extended attributes. They are rare, so it need not be fast.
func xattrKey(xattrs []tree.Xattr) string {
	if len(xattrs) == 0 {
		return ""
	}
	var b strings.Builder
	for _, x := range xattrs {
		fmt.Fprintf(&b, "%q=%q\n", x.Name, x.Value)
	}
	return b.String()
}
