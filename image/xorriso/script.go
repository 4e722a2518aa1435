package xorriso

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// A script is what xorriso is told: a command a line, every word quoted.
//
// Contents are told as intervals of files (-cut_out), whose order in the image is that of the tree, in whatever order they are told. Of
// contents with several names the first is told as a file (-map) and the others as its clones, which share the content; xorriso would
// order those by the inode numbers of the host and puts them in front, in an order that weights give. Two of them that are one file on the
// host would become one; the second is copied to the spool then.
type script struct {
	strings.Builder
	ctx     context.Context
	img     Image
	spool   *spool
	aside   string                // where directories are built that will lie in a large one, in one directory for each level
	depth   int                   // of levels in use
	levels  int                   // that there are
	names   map[*tree.Node]bool   // what has further names
	shared  map[inode]bool        // files of the host that were told with -map
	first   map[*tree.Node]string // where the first name of what has several is by now
	told    []*tree.Node          // those, in the order of the script
	weight  int
	tooLong error       // of the first command that does not fit a line
	local   []attribute // those that are not the same everywhere
}

// An inode tells files of the host apart.
type inode struct{ dev, ino uint64 }

func newScript(ctx context.Context, img Image, sp *spool) (string, error) {
	s := &script{ctx: ctx, img: img, spool: sp, names: map[*tree.Node]bool{}, shared: map[inode]bool{}, first: map[*tree.Node]string{}}
	for n := range img.Tree.Nodes() {
		if n.Kind() == tree.Link {
			s.names[n.Inode()] = true
		}
	}
	s.weight = len(s.names) + firstWeight
	root := img.Tree.Root()
	for s.aside = "_"; root.Child(s.aside) != nil; {
		s.aside += "_"
	}
	s.command("-volid", img.VolumeID)
	s.everywhere()
	s.command("-mkdir", "/"+s.aside, "--")
	if err := s.contents(root, "/"); err != nil {
		return "", err
	}
	s.command("-rm_r", "/"+s.aside, "--")
	s.root()
	if err := s.boot(); err != nil {
		return "", err
	}
	return s.String(), s.tooLong
}

// firstWeight is above the weights that xorriso gives to boot images.
const firstWeight = 10

// maxLine is how long a line of a script may be, in bytes; xorriso takes 4095.
const maxLine = 4000

// command adds a line.
func (s *script) command(words ...string) {
	if !fits(words...) && s.tooLong == nil {
		s.tooLong = fmt.Errorf("tell xorriso of %.80q…: more than the %d bytes of a line", words[len(words)-1], maxLine)
	}
	for i, w := range words {
		if i > 0 {
			s.WriteByte(' ')
		}
		s.WriteByte('"')
		quoter.WriteString(s, w)
		s.WriteByte('"')
	}
	s.WriteByte('\n')
}

// quoter tells bytes by codes that mean something in quotes, or that no line can hold.
var quoter = strings.NewReplacer(`"`, `\042`, `\`, `\134`, "\n", `\012`, "\r", `\015`)

// fits says whether words are short enough for a line.
func fits(words ...string) bool {
	n := 0
	for _, w := range words {
		n += quotedLen(w) + len(`"" `)
	}
	return n <= maxLine
}

func quotedLen(word string) int { return len(quoter.Replace(word)) }

// large is how many entries make a directory large. xorriso keeps a directory as a list in the order of names, finds a name by going through it
// from the front, and looks up every path from the root.
const large = 64

// contents tells everything below dir, which is at path while it is told. Attributes come after what they would be changed by. A large
// directory is told from its last name to its first, which is then always the first of the list, and with all that lies in it built elsewhere.
func (s *script) contents(dir *tree.Node, path string) error {
	kids := dir.Children()
	if len(kids) < large {
		for _, n := range kids {
			if err := s.node(n, path, false); err != nil {
				return err
			}
		}
		s.attributes(kids, path)
		return nil
	}
	for i := range slices.Backward(kids) {
		if err := s.node(kids[i], path, true); err != nil {
			return err
		}
		s.attributes(kids[i:i+1], path)
	}
	return nil
}

// node tells a node in a directory at path, and everything below it.
func (s *script) node(n *tree.Node, path string, apart bool) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	at := tree.Join(path, n.Name)
	switch {
	case n.Kind() != tree.Dir:
		return s.leaf(n, at)
	case apart:
		return s.elsewhere(n, path)
	}
	s.command("-mkdir", at, "--")
	return s.contents(n, at)
}

// elsewhere builds a directory aside and then moves it into dir. One that is built aside meanwhile lies a level further down.
func (s *script) elsewhere(n *tree.Node, dir string) error {
	level := fmt.Sprintf("/%s/%d", s.aside, s.depth)
	if s.depth == s.levels {
		s.command("-mkdir", level, "--")
		s.levels++
	}
	at := level + "/" + n.Name
	s.command("-mkdir", at, "--")
	before := len(s.told)
	s.depth++
	if err := s.contents(n, at); err != nil {
		return err
	}
	s.depth--
	s.command("-mv", at, dir, "--")
	for _, told := range s.told[before:] {
		s.first[told] = tree.Join(dir, n.Name) + strings.TrimPrefix(s.first[told], at)
	}
	return nil
}

// leaf tells what is no directory. Of several names of the same thing all but the first are clones.
func (s *script) leaf(n *tree.Node, at string) error {
	n = n.Inode()
	if clone := []string{"-clone", s.first[n], at}; clone[1] != "" && fits(clone...) {
		s.command(clone...)
		return nil
	}
	if s.names[n] {
		s.first[n], s.told = at, append(s.told, n)
	}
	if n.Kind() == tree.Symlink {
		s.command("-lns", n.Target(), at)
		return nil
	}
	return s.file(n, at)
}

// file tells where a file's content lies.
func (s *script) file(n *tree.Node, at string) error {
	b := n.Blob()
	if b.Size() == 0 {
		s.command("-map", s.spool.empty(), at)
		return nil
	}
	if s.names[n] {
		return s.several(n, at)
	}
	interval := func(path string, off int64) []string {
		return []string{"-cut_out", path, strconv.FormatInt(off, 10), strconv.FormatInt(b.Size(), 10), at}
	}
	path, off, err := s.spool.find(s.ctx, b)
	if err == nil && !fits(interval(path, off)...) {
		path, off, err = s.spool.add(s.ctx, b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	s.command(interval(path, off)...)
	return nil
}

// several tells a file that has further names.
func (s *script) several(n *tree.Node, at string) error {
	path, err := s.whole(n.Blob())
	if err == nil && !fits("-map", path, at) {
		path, err = s.spool.copy(s.ctx, n.Blob())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	s.command("-map", path, at)
	s.command("-find", at, "-exec", "sort_weight", strconv.Itoa(s.weight), "--")
	s.weight--
	return nil
}

// whole gives a path where a blob is a whole file, which no other one is.
func (s *script) whole(b tree.Blob) (string, error) {
	if _, ok := hosted(b); !ok {
		return s.spool.copy(s.ctx, b)
	}
	path, off, err := s.spool.find(s.ctx, b)
	if err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", err
	}
	id := inode{st.Dev, st.Ino}
	if off != 0 || st.Size != b.Size() || s.shared[id] {
		return s.spool.copy(s.ctx, b)
	}
	s.shared[id] = true
	return path, nil
}
