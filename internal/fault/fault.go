// Package fault has the errors that readers of formats report in the bytes they read: the structure, its offset, the expected value
// and the one found. A checking reader continues after a fault as long as it can, so that one pass finds many.
package fault

import "fmt"

// A Fault is one error in the bytes that were read.
type Fault struct {
	Offset int64  // bytes from the start of what was read; -1 if it has no single place
	Path   string // of the file concerned; "" for none
	Object string // the structure, as the format calls it: "group descriptor 3", "directory block 7"
	Text   string // what is wrong, with the expected and the found value
}

// String returns the fault in one line: "byte 1024: superblock: checksum is 1234, 5678 is expected".
func (f Fault) String() string {
	s := f.Object + ": " + f.Text
	if f.Path != "" {
		s = fmt.Sprintf("%q: %s", f.Path, s)
	}
	if f.Offset >= 0 {
		s = fmt.Sprintf("byte %d: %s", f.Offset, s)
	}
	return s
}

// A Report receives faults, from one goroutine at a time.
type Report func(Fault)

// Mismatch returns the text for a field with an unexpected value.
func Mismatch(field string, found, expected any) string {
	return fmt.Sprintf("%s is %v, %v is expected", field, found, expected)
}
