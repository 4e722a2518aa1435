// Package fault is how a reader of a format reports what is wrong with the bytes that it reads: what it looked at, where it lies, what was
// expected and what was found. A reader that checks goes on after a fault as long as it makes sense, so that one reading finds many.
package fault

import "fmt"

// A Fault is one thing that is wrong.
type Fault struct {
	Offset int64  // bytes from the front of what was read, -1 where there is no one place
	Path   string // of the file that it is about, "" for none
	Object string // the structure, as the format calls it: "group descriptor 3", "directory block 7"
	Text   string // what is wrong with it, with what was expected and what was found
}

// String is the fault in one line: "byte 1024: superblock: checksum 1234, 5678 is expected".
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

// A Report takes faults, one after another, from one goroutine at a time.
type Report func(Fault)

// Mismatch is the text for a field that has another value than it should.
func Mismatch(field string, found, expected any) string {
	return fmt.Sprintf("%s is %v, %v is expected", field, found, expected)
}
