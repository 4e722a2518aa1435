package xorriso

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"imprint/internal/tree"
)

// An attribute is one that is mostly the same in the whole tree.
type attribute struct {
	of    func(*tree.Attr) int64
	whole []string   // the command that sets it for everything; nil where that is slower than what sets it for paths
	each  [][]string // those that set it for some paths
}

// Each command gets the value at the end of its last word. Two date a file: "b" stands for access and modification, "c" for change.
var attributes = []attribute{
	{func(a *tree.Attr) int64 { return int64(a.UID) }, []string{"-uid", ""}, [][]string{{"-chown", ""}}},
	{func(a *tree.Attr) int64 { return int64(a.GID) }, []string{"-gid", ""}, [][]string{{"-chgrp", ""}}},
	{func(a *tree.Attr) int64 { return a.Mtime.Sec }, nil, [][]string{{"-alter_date", "b-c", "="}, {"-alter_date", "c", "="}}},
}

// everywhere sets the attributes that are the same everywhere, and keeps the others for local.
func (s *script) everywhere() {
	root := s.img.Tree.Root()
	for _, a := range attributes {
		value := a.of(root.Attr)
		differs := func(n *tree.Node) bool { return a.of(n.Inode().Attr) != value }
		if a.whole == nil || slices.ContainsFunc(slices.Collect(s.img.Tree.Nodes()), differs) {
			s.local = append(s.local, a)
		} else {
			s.command(with(a.whole, value)...)
		}
	}
}

// with is a command with a number at the end of its last word.
func with(command []string, value int64) []string {
	c := slices.Clone(command)
	c[len(c)-1] += strconv.FormatInt(value, 10)
	return c
}

// attributes sets those of nodes in a directory that is at path while it is told; dates last, since every other command changes them.
func (s *script) attributes(nodes []*tree.Node, path string) {
	paths := map[int64][]string{}
	group := func(of func(*tree.Attr) int64) []int64 {
		clear(paths)
		for _, n := range nodes {
			value := of(n.Inode().Attr)
			paths[value] = append(paths[value], tree.Join(path, n.Name))
		}
		return slices.Sorted(maps.Keys(paths))
	}
	for _, mode := range group(func(a *tree.Attr) int64 { return int64(a.Mode) }) {
		s.chmod(uint16(mode), paths[mode])
	}
	for _, a := range s.local {
		for _, value := range group(a.of) {
			s.set(a, value, paths[value])
		}
	}
}

// set gives paths one value of an attribute.
func (s *script) set(a attribute, value int64, paths []string) {
	for _, c := range a.each {
		s.each(with(c, value), paths)
	}
}

// chmod sets permissions of a list of paths. xorriso takes no more than nine bits as a number.
func (s *script) chmod(mode uint16, paths []string) {
	s.each([]string{"-chmod", fmt.Sprintf("%04o", mode&0o777)}, paths)
	for _, special := range []struct {
		bit  uint16
		word string
	}{{0o4000, "u+s"}, {0o2000, "g+s"}, {0o1000, "a+t"}} {
		if mode&special.bit != 0 {
			s.each([]string{"-chmod", special.word}, paths)
		}
	}
}

// each adds commands for a list of paths, with as many of them as one line takes.
func (s *script) each(command, paths []string) {
	line := slices.Clone(command)
	for _, p := range paths {
		if len(line) > len(command) && !fits(append(line, p, "--")...) {
			s.command(append(line, "--")...)
			line = append(line[:0], command...)
		}
		line = append(line, p)
	}
	if len(paths) > 0 {
		s.command(append(line, "--")...)
	}
}

// root sets the attributes of the root, once nothing more is added to it.
func (s *script) root() {
	root := s.img.Tree.Root().Attr
	s.chmod(root.Mode, []string{"/"})
	for _, a := range s.local {
		s.set(a, a.of(root), []string{"/"})
	}
}
