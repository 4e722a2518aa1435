package mke2fs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"imprint/internal/tree"
)

// A script is a list of debugfs commands, and the state after the last of them.
type script struct {
	lines []line
	cwd   uint32 // inode of the current directory, 0 before the first command cd
	bytes int
}

// A line is one command.
type line struct {
	text  string
	path  string // of the node it makes or changes, for messages
	inode uint32 // number that debugfs must print as allocated; 0 if the command allocates none or does not print it
}

// quote quotes a word for libss: in quotes, with quotes inside doubled (lib/ss/parse.c).
func quote(word string) string { return `"` + strings.ReplaceAll(word, `"`, `""`) + `"` }

func ref(inode uint32) string { return "<" + strconv.FormatUint(uint64(inode), 10) + ">" }

func (s *script) add(path string, words ...string) { s.addAllocating(0, path, words...) }

func (s *script) addAllocating(inode uint32, path string, words ...string) {
	text := strings.Join(words, " ")
	s.lines = append(s.lines, line{text, path, inode})
	s.bytes += len(text) + 1
}

// in makes dir the current directory, so that commands have single names: no path is looked up, and a name like "<5>" is not taken for an inode.
func (s *script) in(dir uint32, path string) {
	if s.cwd != dir {
		s.add(path, "cd", ref(dir))
		s.cwd = dir
	}
}

func (s *script) set(inode uint32, path, field, value string) {
	s.add(path, "sif", ref(inode), field, value)
}

// fields are the fields of an inode that attributes sets, since debugfs takes them from the source file, from the clock or from a default.
type fields struct {
	number uint32
	mode   uint16 // type and permissions, as in i_mode
	links  uint32 // 0 keeps the count, which debugfs maintains for directories
	attr   *tree.Attr
}

// attributes sets the fields of an inode that differ from what libext2fs has just set: owner 0, and all times the current one. All times
// except mtime become the epoch.
func (s *script) attributes(i fields, path string, epoch int64) {
	set := func(field string, value uint32) { s.set(i.number, path, field, strconv.FormatUint(uint64(value), 10)) }
	s.set(i.number, path, "mode", fmt.Sprintf("0%o", i.mode))
	if i.attr.UID != 0 {
		set("uid", i.attr.UID)
	}
	if i.attr.GID != 0 {
		set("gid", i.attr.GID)
	}
	if i.links > 1 {
		set("links_count", i.links)
	}
	now := tree.Time{Sec: toolTime(epoch)}
	times := map[string]tree.Time{"mtime": i.attr.Mtime, "atime": {Sec: epoch}, "ctime": {Sec: epoch}, "crtime": {Sec: epoch}}
	for _, field := range []string{"atime", "ctime", "crtime", "mtime"} {
		if times[field] != now {
			s.time(i.number, path, field, times[field])
		}
	}
}

// time sets both halves of a time as numbers, since debugfs parses no date before 1970. The extra half has two more bits of the seconds, which
// are added to the lower 32 as a signed number, and above them the nanoseconds.
func (s *script) time(inode uint32, path, field string, t tree.Time) {
	low := int32(t.Sec)
	epoch := uint32((t.Sec-int64(low))>>32) & 3
	s.set(inode, path, field+"_lo", strconv.FormatUint(uint64(uint32(low)), 10))
	s.set(inode, path, field+"_extra", strconv.FormatUint(uint64(t.Nsec<<2|epoch), 10))
}

// input returns the script as debugfs reads it.
func (s *script) input() []byte {
	b := make([]byte, 0, s.bytes)
	for _, l := range s.lines {
		b = append(append(b, l.text...), '\n')
	}
	return b
}

// transcriptSize returns an upper bound of what debugfs prints if nothing is wrong: every line after its prompt, and "Allocated inode: N".
func (s *script) transcriptSize() int64 { return int64(s.bytes+64*len(s.lines)) + 1<<10 }

// check reads what debugfs printed. It echoes each command before running it and prints the inode that it allocated. Anything else is an error
// message about the command before: the exit code is 0 in any case.
func (s *script) check(transcript []byte) error {
	done := 0
	for said := range bytes.Lines(transcript) {
		said = bytes.TrimSuffix(said, []byte("\n"))
		if done < len(s.lines) && string(said) == "debugfs: "+s.lines[done].text {
			done++
			continue
		}
		if done == 0 || s.expected(s.lines[done-1], said) {
			continue // before the first command there is only the version
		}
		last := s.lines[done-1]
		return fmt.Errorf("debugfs: %s: %.200s: %s", tree.Shown(last.path), last.text, strings.ToValidUTF8(string(said), "?"))
	}
	if done < len(s.lines) {
		l := s.lines[done]
		return fmt.Errorf("debugfs ended without an error after %d of %d commands, before %s: %.200s", done, len(s.lines), tree.Shown(l.path), l.text)
	}
	return nil
}

// complaints returns the lines of a transcript that are neither commands nor numbers of inodes.
func complaints(transcript string) string {
	var rest strings.Builder
	for said := range strings.Lines(transcript) {
		if !strings.HasPrefix(said, "debugfs: ") && !strings.HasPrefix(said, "Allocated inode: ") {
			rest.WriteString(said)
		}
	}
	return rest.String()
}

func (s *script) expected(after line, said []byte) bool {
	number, ok := bytes.CutPrefix(said, []byte("Allocated inode: "))
	return ok && after.inode != 0 && string(number) == strconv.FormatUint(uint64(after.inode), 10)
}
