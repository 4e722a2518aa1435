package iso9660

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
	other "github.com/kdomanski/iso9660"
	"golang.org/x/sys/unix"
)

// An extractor is a program that extracts an image's files to the host.
type extractor struct {
	args  func(image, dir string) []string
	drops func(*item) // clears what it does not extract
}

var extractors = []extractor{
	{func(image, dir string) []string {
		return []string{"xorriso", "-no_rc", "-report_about", "SORRY", "-abort_on", "SORRY", "-return_with", "SORRY", "32", "-hardlinks", "on", "-indev", image, "-osirrox", "on:device_files", "-extract", "/", dir}
	}, func(x *item) {
		if x.Kind == tree.Symlink {
			x.UID, x.GID, x.Mtime = 0, 0, 0
		}
	}},
	{func(image, dir string) []string { return []string{"bsdtar", "-xpf", image, "-C", dir} }, func(*item) {}},
}

func (e extractor) run(t tb, image, dir string) {
	t.Helper()
	args := e.args(image, dir)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%.3000s", args[0], err, out)
	}
}

// compare compares a directory of the host with a tree.
func (e extractor) compare(t tb, tr *tree.Tree, dir string) {
	t.Helper()
	want, got := itemsOf(t, tr), hostItems(t, dir)
	want["/"] = got["/"]
	for _, items := range []map[string]item{want, got} {
		for path, x := range items {
			if path == "/" { // a directory that was there already
				continue
			}
			e.drops(&x)
			if x.Kind == tree.Symlink {
				x.Mode = 0o777
			}
			items[path] = x
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: -want +got:\n%.4000s", e.args("", "")[0], diff)
	}
}

var kindOf = map[uint32]tree.Kind{
	unix.S_IFREG: tree.File, unix.S_IFDIR: tree.Dir, unix.S_IFLNK: tree.Symlink, unix.S_IFCHR: tree.CharDevice, unix.S_IFBLK: tree.BlockDevice,
	unix.S_IFIFO: tree.Fifo, unix.S_IFSOCK: tree.Socket,
}

// hostItems is itemsOf for a directory of the host.
func hostItems(t tb, dir string) map[string]item {
	t.Helper()
	items, first := map[string]item{}, map[uint64]string{}
	err := filepath.WalkDir(dir, func(host string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(host)
		if err != nil {
			return err
		}
		path, st := "/"+strings.TrimPrefix(host[len(dir):], "/"), info.Sys().(*syscall.Stat_t)
		x := item{Kind: kindOf[st.Mode&unix.S_IFMT], Mode: uint16(st.Mode & 0o7777), UID: st.Uid, GID: st.Gid, Mtime: st.Mtim.Sec}
		if f, ok := first[st.Ino]; ok && x.Kind != tree.Dir {
			items[path] = item{Kind: tree.Link, First: f}
			return nil
		}
		first[st.Ino] = path
		switch x.Kind {
		case tree.File:
			content, err := os.ReadFile(host)
			if err != nil {
				return err
			}
			x.Size, x.Content = st.Size, fmt.Sprintf("%x", content[:min(len(content), compared)])
		case tree.Symlink:
			if x.Target, err = os.Readlink(host); err != nil {
				return err
			}
			x.Size = st.Size
		case tree.CharDevice, tree.BlockDevice:
			x.Device = tree.Device{Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev)}
		}
		items[path] = x
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// judged returns a tree that every judge reads: its targets are short, and end before the forms that readers disagree about.
func judged(t testing.TB) *tree.Tree {
	nodes := map[string]*tree.Node{}
	for i, target := range targets {
		if len(target) <= 1000 {
			nodes[fmt.Sprint("/links/", i)] = tree.NewSymlink("", plain, target)
		}
	}
	for i, name := range []string{"plain", "UPPER", "Größe", "a b", "trailing.", strings.Repeat("n", 200)} {
		nodes["/names/"+name] = tree.NewFile("", &tree.Attr{Mode: 0o640, UID: 7, GID: 8, Mtime: tree.Time{Sec: 99}}, tree.Text(strings.Repeat(name, 1000*i)))
		nodes["/a/b/c/d/e/f/g/h/"+name+"/link"] = tree.NewSymlink("", plain, name)
	}
	for i := range 300 {
		nodes[fmt.Sprint("/many/", i)] = tree.NewFile("", plain, tree.Text(fmt.Sprint(i)))
	}
	tool := tree.NewFile("", &tree.Attr{Mode: 0o4555}, tree.Text(strings.Repeat("tool", 5000)))
	nodes["/bin/tool"], nodes["/bin/again"] = tool, tree.NewLink("", tool)
	nodes["/dev/tty"] = tree.NewDevice("", plain, tree.CharDevice, tree.Device{Major: 5})
	return build(t, nodes)
}

func TestXorrisoReads(t *testing.T) {
	image := write(t, plan(t, judged(t), testOptions()))
	out := hosttest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-indev", image, "-pvd_info", "-toc", "-report_system_area", "plain")
	for _, want := range []string{"Volume Id    : TEST\n", "Creation Time: " + Date(1_000_000_000), "Modif. Time  : " + Date(1_234_567_890)} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestExtracted(t *testing.T) {
	hosttest.NeedRoot(t)
	hosttest.Need(t, "xorriso", "bsdtar")
	tr := judged(t)
	image := write(t, plan(t, tr, testOptions()))
	for _, e := range extractors {
		dir := t.TempDir()
		e.run(t, image, dir)
		e.compare(t, tr, dir)
	}
}

// isoinfo, of the mkisofs family, reads by the whole disk, and by the path tables.
func TestIsoinfoReads(t *testing.T) {
	tr := judged(t)
	image := write(t, plan(t, tr, testOptions()))
	found := map[string]bool{}
	for line := range strings.Lines(hosttest.Run(t, "isoinfo", "-f", "-R", "-i", image)) {
		found[strings.TrimSuffix(line, "\n")] = true
	}
	for path, n := range tr.Walk() {
		if path != "/" && !found[path] {
			t.Errorf("isoinfo finds no %v %s", n.Kind(), path)
		}
	}
	if len(found) != tr.Len()-1 {
		t.Errorf("isoinfo finds %d names, not %d", len(found), tr.Len()-1)
	}
	list := hosttest.Run(t, "isoinfo", "-l", "-R", "-i", image)
	if want := "-r-xr-xr-x   2    0    0           20000 Jan  1 1970"; !strings.Contains(list, want) {
		t.Errorf("no %q in\n%.3000s", want, list)
	}
	dirs := 0
	for n := range tr.Nodes() {
		if n.Kind() == tree.Dir {
			dirs++
		}
	}
	paths := strings.Fields(hosttest.Run(t, "isoinfo", "-p", "-i", image))
	if last := fmt.Sprintf("%d:", dirs); !strings.Contains(strings.Join(paths, " "), last) {
		t.Errorf("isoinfo finds no directory %s in the path table", last)
	}
}

// kdomanski/iso9660 sees the same names, kinds, permissions and bytes. It reads no link targets, and no Rock Ridge of the root, in
// directories of more than one block and in continuation areas; names come in the order of the identifiers.
func TestOtherReader(t *testing.T) {
	nodes := map[string]*tree.Node{}
	for i, name := range []string{"plain", "UPPER", "Größe", "a b", "trailing.", strings.Repeat("n", 90)} {
		nodes["/names/"+name] = tree.NewFile("", plain, tree.Text(strings.Repeat(name, 1000*i)))
		nodes["/a/b/c/d/e/f/g/h/"+name+"/link"] = tree.NewSymlink("", plain, name)
	}
	tr := build(t, nodes)
	p := plan(t, tr, testOptions())
	image, err := other.OpenImage(partitiontest.Image(p))
	if err != nil {
		t.Fatal(err)
	}
	root, err := image.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	walkOther(t, "/", root, got)
	for path, n := range tr.Walk() {
		var content []byte
		if n.Kind() == tree.File {
			content = contentUpTo(t, n, 1<<20)
		}
		want[path] = seen(path, n.Kind(), n.Attr.Mode, content)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func seen(path string, kind tree.Kind, mode uint16, content []byte) string {
	if kind == tree.Symlink || path == "/" {
		mode = 0
	}
	return fmt.Sprintf("%v %o %q", kind, mode, content)
}

func walkOther(t *testing.T, at string, f *other.File, all map[string]string) {
	kind := tree.File
	var content []byte
	switch {
	case f.IsDir():
		kind = tree.Dir
	case f.Mode()&os.ModeSymlink != 0:
		kind = tree.Symlink
	default:
		var b bytes.Buffer
		if _, err := io.Copy(&b, f.Reader()); err != nil {
			t.Fatal(err)
		}
		content = b.Bytes()
	}
	all[at] = seen(at, kind, uint16(f.Mode().Perm()), content)
	if kind != tree.Dir {
		return
	}
	kids, err := f.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kids {
		walkOther(t, path.Join(at, k.Name()), k, all)
	}
}

// GRUB, which reads kernels from the image, has its own reader.
func TestGrubReads(t *testing.T) {
	hosttest.Need(t, "grub-fstest")
	kernel := tree.NewFile("", plain, tree.Text(strings.Repeat("kernel", 500_000)))
	nodes := map[string]*tree.Node{
		"/nix/store/" + strings.Repeat("k", 240) + "/kernel": kernel, "/nix/store/a.b/that": tree.NewFile("", plain, tree.Text("that")),
		"/boot/kernel": tree.NewSymlink("", plain, "../nix/store/"+strings.Repeat("k", 240)+"/kernel"),
		"/boot/that":   tree.NewSymlink("", plain, "/nix/../nix/"+strings.Repeat("./", 150)+"store/a.b/that"),
	}
	for i := range 500 {
		nodes[fmt.Sprint("/nix/store/", i)] = tree.NewDir("", plain, nil)
	}
	image := write(t, plan(t, build(t, nodes), testOptions()))
	for path, want := range map[string]*tree.Node{"/boot/kernel": kernel, "/boot/that": nodes["/nix/store/a.b/that"]} {
		file := filepath.Join(t.TempDir(), "want")
		if err := os.WriteFile(file, contentUpTo(t, want, 1<<30), 0o644); err != nil {
			t.Fatal(err)
		}
		if out := hosttest.Run(t, "grub-fstest", image, "cmp", "(loop0)"+path, file); out != "" {
			t.Errorf("%s: %s", path, out)
		}
	}
}
