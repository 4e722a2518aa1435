package mke2fs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"imprint/internal/tree"
)

// A script is a list of debugfs commands, and where they have got to.
type script struct {
	lines []line
	cwd   uint32 // inode of the current directory, 0 when debugfs has not been told yet
	bytes int
}

// A line is one command.
type line struct {
	text  string
	path  string // of the node it makes or changes, for messages
	inode uint32 // that debugfs shall say it allocated, 0 if it does not say
}

// quote makes one word of a text, as libss takes it: between quotation marks, those in it doubled (lib/ss/parse.c).
func quote(word string) string { return `"` + strings.ReplaceAll(word, `"`, `""`) + `"` }

func ref(inode uint32) string { return "<" + strconv.FormatUint(uint64(inode), 10) + ">" }

func (s *script) add(path string, words ...string) { s.addAllocating(0, path, words...) }

func (s *script) addAllocating(inode uint32, path string, words ...string) {
	text := strings.Join(words, " ")
	s.lines = append(s.lines, line{text, path, inode})
	s.bytes += len(text) + 1
}

// in makes dir the current directory, so that names stand alone: no command looks up a path, and none takes "<5>" for an inode.
func (s *script) in(dir uint32, path string) {
	if s.cwd != dir {
		s.add(path, "cd", ref(dir))
		s.cwd = dir
	}
}

func (s *script) set(inode uint32, path, field, value string) {
	s.add(path, "sif", ref(inode), field, value)
}

// An inode is what attributes sets: all that debugfs would take from a source file, from the clock or from nowhere.
type inode struct {
	number uint32
	mode   uint16 // type and permissions, as in i_mode
	links  uint32 // 0 leaves the count alone, which debugfs keeps for directories
	attr   *tree.Attr
}

// attributes writes the fields of an inode that are not what libext2fs has just made them: owner 0, and all times those of the clock that
// it is given. All times but mtime shall be the epoch.
func (s *script) attributes(i inode, path string, epoch int64) {
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

// time writes both halves of a time as numbers: debugfs takes no time before 1970 otherwise. The extra half has two more bits of the
// seconds, counted from what the lower 32 mean as a signed number, and the nanoseconds above them.
func (s *script) time(inode uint32, path, field string, t tree.Time) {
	low := int32(t.Sec)
	epoch := uint32((t.Sec-int64(low))>>32) & 3
	s.set(inode, path, field+"_lo", strconv.FormatUint(uint64(uint32(low)), 10))
	s.set(inode, path, field+"_extra", strconv.FormatUint(uint64(t.Nsec<<2|epoch), 10))
}

// input is the script as debugfs reads it.
func (s *script) input() []byte {
	b := make([]byte, 0, s.bytes)
	for _, l := range s.lines {
		b = append(append(b, l.text...), '\n')
	}
	return b
}

// transcriptSize bounds what debugfs writes when nothing is wrong: every line after its prompt, and "Allocated inode: N".
func (s *script) transcriptSize() int64 { return int64(s.bytes+64*len(s.lines)) + 1<<10 }

// check reads what debugfs wrote. It repeats each command before it obeys, says which inode it allocated, and anything else is a
// complaint about the command before: its exit code is 0 all the same.
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
		return fmt.Errorf("debugfs: %s: %.200s: not reached", tree.Shown(s.lines[done].path), s.lines[done].text)
	}
	return nil
}

func (s *script) expected(after line, said []byte) bool {
	number, ok := bytes.CutPrefix(said, []byte("Allocated inode: "))
	return ok && after.inode != 0 && string(number) == strconv.FormatUint(uint64(after.inode), 10)
}
