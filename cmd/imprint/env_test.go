package main

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"imprint/image/imagetest"
	"imprint/internal/environment"
	"imprint/internal/hosttest"

	"golang.org/x/sys/unix"
)

// A layerBox is a directory with a build store, in which imprint env runs as a process.
type layerBox struct {
	t   *testing.T
	dir string
}

func newLayerBox(t *testing.T) layerBox { return layerBox{t, t.TempDir()} }

func (b layerBox) command(args ...string) *exec.Cmd {
	c := exec.Command("imprint", append([]string{"env"}, args...)...)
	c.Dir, c.Env = b.dir, append(os.Environ(), "XDG_CACHE_HOME="+b.dir+"/cache", "TMPDIR="+b.dir)
	return c
}

// run runs a command that succeeds and returns its output.
func (b layerBox) run(args ...string) string {
	b.t.Helper()
	out, err := b.command(args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("imprint env %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// files makes a directory of n files.
func (b layerBox) files(name string, n int) {
	b.t.Helper()
	mkdir(b.t, filepath.Join(b.dir, name))
	for i := range n {
		writeFile(b.t, filepath.Join(b.dir, name, fmt.Sprint(i)), strings.Repeat(fmt.Sprintf("%s %d\n", name, i), 1+i*100))
	}
}

// stored lists the files in the build store, or below a directory in it, but not its locks.
func (b layerBox) stored(below ...string) (list []string) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(append([]string{b.dir, "cache"}, below...)...), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasSuffix(path, ".lock") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// Commands are killed at random moments: the next ones work, verify finds nothing wrong, and gc leaves nothing behind.
func TestEnvKilled(t *testing.T) {
	b := newLayerBox(t)
	b.files("base", 20)
	b.files("more", 200)
	commands := [][]string{{"add-layer", "web", "more"}, {"init", "other", "more"}, {"gc"}, {"add-layer", "web", "--onto", "kept", "more"}}
	if busybox, err := exec.LookPath("busybox"); err == nil {
		writeFile(t, filepath.Join(b.dir, "base/busybox"), string(read(t, busybox)))
		os.Chmod(filepath.Join(b.dir, "base/busybox"), 0o755)
		commands = append(commands, []string{"run", "web", "--clean", "--save", "--", "/busybox", "cp", "/0", "/new"})
	}
	b.run("init", "web", "base")
	start := time.Now()
	b.run("add-layer", "web", "more")
	whole := time.Since(start)
	b.run("tag", "web", "kept")
	b.run("roll-back", "web")
	rounds := 20
	if os.Getenv("IMPRINT_SLOW") == "1" {
		rounds = 100
	}
	random, killed := rand.New(rand.NewPCG(1, 2)), 0
	for range rounds {
		b.run("tag", "web", "kept", "root") // so that there is something to add, or to collect
		c := commands[random.IntN(len(commands))]
		cmd := b.command(c...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(whole))))
		cmd.Process.Kill()
		if err := cmd.Wait(); err != nil {
			killed++
		}
		b.run("verify")
		b.run("list")
		if c[0] == "init" {
			b.command("remove", "other").Run() // if it was made
		}
		b.run("tag", "web", "current", "root")
	}
	if killed == 0 {
		t.Error("no command was killed")
	}
	b.run("gc")
	left := b.stored("imprint/layers/objects")
	b.run("init", "same", "base") // what only web has is what a new environment has
	b.run("remove", "web")
	b.run("gc")
	if got := len(b.stored("imprint/layers/objects")); got != len(left) {
		t.Errorf("%d files were left, and a new environment has %d:\n%s", len(left), got, strings.Join(left, "\n"))
	}
	b.run("remove", "same")
	if left := b.stored(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// On a full disk a layer is not added, nothing is left of it, and what was there is sound.
func TestEnvFullDisk(t *testing.T) {
	hosttest.Need(t, "unshare", "mount")
	if exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() != nil {
		t.Skip("needs user namespaces")
	}
	b := newLayerBox(t)
	b.files("base", 10)
	b.files("more", 150) // some 10 MB
	mkdir(t, filepath.Join(b.dir, "cache"))
	script := `mount -t tmpfs -o size=3m tmpfs cache
imprint env init web base || exit 1
imprint env list >before
imprint env add-layer web more && exit 2
imprint env list | cmp - before || exit 3
imprint env verify || exit 4
imprint env gc && find cache -type f -size +0 | wc -l >left
imprint env add-layer web base || exit 5`
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
	c.Dir, c.Env = b.dir, b.command().Env
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no space left on device") {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := strings.TrimSpace(string(read(t, filepath.Join(b.dir, "left")))); left != "13" { // ten contents, a record, a link and the environment
		t.Errorf("%s files are left\n%s", left, out)
	}
}

// Processes that add to one environment at the same time lose nothing.
func TestEnvAtOnce(t *testing.T) {
	b := newLayerBox(t)
	b.files("base", 5)
	b.run("init", "web", "base")
	const processes = 6
	var all []*exec.Cmd
	for i := range processes {
		b.files(fmt.Sprint("layer", i), 20)
		c := b.command("add-layer", "web", fmt.Sprint("layer", i))
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	if list := b.run("list"); !strings.Contains(list, fmt.Sprint(1+processes, " layers")) {
		t.Errorf("there are %s", list)
	}
	b.run("verify")
}

// archive writes a tar archive; a file holds its name.
func (b layerBox) archive(name string, headers ...tar.Header) {
	b.t.Helper()
	writeFile(b.t, filepath.Join(b.dir, name), imagetest.Tar(b.t, headers...))
}

// What no layer can be is refused by name, and nothing of it is kept.
func TestEnvHostile(t *testing.T) {
	b := newLayerBox(t)
	reg := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	for want, headers := range map[string][]tar.Header{
		`entry "../x" at byte 0: name ".."`:                                             {reg("../x")},
		`entry "a/../../x" at byte 0: name ".."`:                                        {reg("a/../../x")},
		`entry "/etc/passwd" at byte 0: absolute name`:                                  {reg("/etc/passwd")},
		`entry "l/x" at byte 512: is below /l, a symlink`:                               {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, reg("l/x")},
		`hard link to "../../etc/passwd": name ".."`:                                    {{Name: "h", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"}},
		`hard link to "l/passwd", which is not an earlier entry`:                        {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, {Name: "h", Typeflag: tar.TypeLink, Linkname: "l/passwd"}},
		`/d/.wh...: is a whiteout of name ".."`:                                         {reg("d/.wh...")},
		`/.wh.: is a whiteout of empty name`:                                            {reg(".wh.")},
		`/.wh.d/x: is below a whiteout`:                                                 {reg(".wh.d/x")},
		`/h is a hard link to what is no file of the layer`:                             {reg(".wh.x"), {Name: "h", Typeflag: tar.TypeLink, Linkname: ".wh.x"}},
		`has trusted.overlay.redirect: its content is elsewhere in lower layers (mount`: {{Name: "d/", Typeflag: tar.TypeDir, PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.redirect": "/x"}}},
	} {
		b.archive("bad.tar", headers...)
		out, err := b.command("init", "bad", "bad.tar").CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", want, err, out)
		}
	}
	writeFile(t, filepath.Join(b.dir, "cut.tar"), imagetest.Tar(t, reg("x"))[:700])
	if out, err := b.command("init", "bad", "cut.tar").CombinedOutput(); err == nil || !strings.Contains(string(out), "cut off") {
		t.Errorf("%v\n%s", err, out)
	}
	mkdir(t, filepath.Join(b.dir, "cache"))
	if left := b.stored(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	// Repeated names are taken as when they are unpacked, and devices as they are.
	b.archive("good.tar", reg("x"), tar.Header{Name: "x", Typeflag: tar.TypeSymlink, Linkname: "../../.."}, tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3})
	b.run("init", "good", "good.tar")
	b.archive("upper.tar", reg(".wh.null"))
	b.run("add-layer", "good", "upper.tar")
	if out, err := b.command("diff", "good").CombinedOutput(); err == nil || string(out) != "- /null (character device)\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// A large content of zeros takes no space, whether it is in a directory or in a compressed archive.
func TestEnvBomb(t *testing.T) {
	hosttest.Need(t, "sh", "tar", "gzip")
	b := newLayerBox(t)
	make := exec.Command("sh", "-c", "mkdir bomb && truncate -s 256M bomb/zeros && tar -czf bomb.tar.gz bomb && truncate -s 4T bomb/zeros")
	make.Dir = b.dir
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, source := range map[string]string{"packed": "bomb.tar.gz", "sparse": "bomb"} {
		b.run("init", name, source)
	}
	b.run("verify")
	for _, path := range b.stored() {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil || st.Blocks*512 > 1<<20 {
			t.Errorf("%s has %d blocks for %d bytes, %v", path, st.Blocks, st.Size, err)
		}
	}
}

// needSandbox skips the test where no command can run in an environment, and returns the path of a static shell.
func needSandbox(t *testing.T) string {
	t.Helper()
	hosttest.Need(t, "unshare", "busybox")
	if exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() != nil {
		t.Skip("needs user namespaces")
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Layers whose links lead out of the tree change nothing of the host, neither by their whiteouts nor when a command runs over them.
func TestEnvEscape(t *testing.T) {
	busybox := needSandbox(t)
	b := newLayerBox(t)
	host := filepath.Join(b.dir, "host")
	mkdir(t, host)
	writeFile(t, filepath.Join(host, "victim"), "unharmed")
	mkdir(t, filepath.Join(b.dir, "lower"))
	writeFile(t, filepath.Join(b.dir, "lower/busybox"), string(read(t, busybox)))
	if err := os.Chmod(filepath.Join(b.dir, "lower/busybox"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"proc", "dev", "etc", "out"} {
		if err := os.Symlink(host, filepath.Join(b.dir, "lower", name)); err != nil {
			t.Fatal(err)
		}
	}
	b.run("init", "web", "lower")
	b.archive("upper.tar", tar.Header{Name: "out/.wh.victim", Typeflag: tar.TypeReg}, tar.Header{Name: "x", Typeflag: tar.TypeReg})
	b.run("add-layer", "web", "upper.tar")
	b.run("run", "web", "--network", "--", "/busybox", "true")
	if out, err := b.command("run", "web", "--", "/busybox", "cat", "/out/victim").CombinedOutput(); err == nil {
		t.Errorf("the host is in the tree: %s", out)
	}
	b.run("run", "web", "--save", "--", "/busybox", "sh", "-c", "/busybox rm /out; /busybox mkdir /out; echo x >/out/victim")
	mkdir(t, filepath.Join(b.dir, "copy"))
	b.run("mount", "web", "--tree", filepath.Join(b.dir, "copy"))
	b.run("remove", "web")
	if got := string(read(t, filepath.Join(host, "victim"))); got != "unharmed" {
		t.Errorf("the host's file is %q", got)
	}
	if entries, err := os.ReadDir(host); err != nil || len(entries) != 1 {
		t.Errorf("the host's directory has %v, %v", entries, err)
	}
	exec.Command("chmod", "-R", "u+w", filepath.Join(b.dir, "copy")).Run()
}

// Where the user has no IDs but its own, a command changes no owner, and files keep the owners of the layers below. A mount is read-only, and ends.
func TestEnvOneID(t *testing.T) {
	busybox := needSandbox(t)
	b := newLayerBox(t)
	mkdir(t, filepath.Join(b.dir, "lower"))
	writeFile(t, filepath.Join(b.dir, "lower/busybox"), string(read(t, busybox)))
	os.Chmod(filepath.Join(b.dir, "lower/busybox"), 0o755)
	b.run("init", "web", "lower")
	b.archive("owned.tar", tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o640, Uid: 7, Gid: 8}, tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o1777, Uid: 9},
		tar.Header{Name: "d/same", Typeflag: tar.TypeReg, Mode: 0o600, Uid: 9})
	b.run("add-layer", "web", "owned.tar")
	script := `imprint env run web --save -- /busybox sh -c 'echo more >>/f; echo new >/d/new; ! /busybox chown 3:4 /f; /busybox mkdir -m 0 /none' || exit 1
imprint env run web -- /busybox chown 3:4 /f 2>error && exit 5
grep -q '^hint: to give files to other users here, install newuidmap ' error || exit 6
imprint env run web --clean -- /busybox true || exit 7
mkdir m && imprint env mount web m || exit 2
cat m/d/new && ! touch m/x || exit 3
imprint env unmount m && test ! -e m/d || exit 4`
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
	c.Dir, c.Env = b.dir, b.command().Env
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := environment.Open(filepath.Join(b.dir, "cache/imprint"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Environment("web")
	if err != nil {
		t.Fatal(err)
	}
	stack, err := s.Stack(e.Tags[environment.Current])
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Layer(stack[len(stack)-1].Layer)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range l.Entries() {
		a := e.Node.Attr
		got = append(got, fmt.Sprintf("%s %04o %d:%d %d", e.Path, a.Mode, a.UID, a.GID, a.Mtime.Sec))
	}
	if text := strings.Join(got, ", "); text != "/d/new 0644 0:0 1, /f 0640 7:8 1, /none 0000 0:0 1" {
		t.Errorf("the layer has %s", text)
	}
}

// A user with subordinate IDs has many owners in an environment, as steps have: from one command to the next, in what is saved, and in what is removed, of which
// nothing is left on the host.
func TestEnvManyIDs(t *testing.T) {
	b := newNobodyBox(t)
	b.archive("owned.tar", tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o640, Uid: 7, Gid: 8}, tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 9})
	script := `imprint env init web lower && imprint env add-layer web owned.tar || exit 1
imprint env run web -- /busybox sh -c 'test "$(/busybox stat -c %u:%g:%a /f)" = 7:8:640 && /busybox mkdir -m 0 /own && /busybox chown 33:34 /own && echo >/d/new' || exit 2
imprint env tag web old && imprint env add-layer web lower || exit 3
imprint env run web -- /busybox true 2>error && exit 4
grep -q 'is on the stack' error && imprint env tag web current old || exit 5
imprint env run web --save -- /busybox sh -c '/busybox rm /f; /busybox chown 5:5 /d/new; /busybox stat -c %u:%g:%a /own >/said' || exit 6
imprint env run web -- /busybox sh -c '/busybox cat /said; /busybox chown 6:6 /own; echo lost >/own/lost' || exit 7
imprint env verify && imprint env remove web && imprint env gc || exit 8
find cache -type f ! -name '*.lock'; find cache -name '*.owned'`
	out := b.asNobody(script, true)
	if _, rest, ok := strings.Cut(out, "\n33:34:0\n"); !ok || strings.Contains(rest, "cache/") {
		t.Errorf("it says %s", out)
	}
}

// A command whose writes are being saved is killed at some moment: its files have their owners, whether they were saved or not, and nothing is left that gc
// does not remove.
func TestEnvManyIDsKilled(t *testing.T) {
	b := newNobodyBox(t)
	rounds := 6
	if os.Getenv("IMPRINT_SLOW") == "1" {
		rounds = 100
	}
	said := b.asNobody(fmt.Sprintf(`imprint env init web lower && imprint env run web -- /busybox mkdir -p /own/a/b || exit 1
i=0
while [ $i -lt %d ]; do
	i=$((i + 1))
	imprint env run web -- /busybox sh -c "/busybox chown -R $i:7 /own && /busybox chmod 0 /own/a" || exit 2
	timeout -s KILL 0.$(printf %%03d $((20 + i * 41 %% 150))) imprint env run web --save -- /busybox true && echo saved || echo killed
	got=$(imprint env run web -- /busybox stat -c %%u:%%g:%%a /own /own/a /own/a/b) || exit 3
	[ "$(echo $got)" = "$i:7:755 $i:7:0 $i:7:755" ] || { echo "round $i: $got"; exit 4; }
	imprint env verify && imprint env gc || exit 5
done
imprint env remove web && imprint env gc
find cache -type f ! -name '*.lock'; find cache -name '*.owned'`, rounds), true)
	if !strings.Contains(said, "killed") || strings.Contains(said, "cache/") {
		t.Errorf("it says %s", said)
	}
	t.Logf("%d of %d were killed", strings.Count(said, "killed\n"), rounds)
}

// newNobodyBox makes a box that any user may enter, with the program and, in the directory lower, a shell.
func newNobodyBox(t *testing.T) layerBox {
	busybox := needSandbox(t)
	b := layerBox{t, public(t)}
	mkdir(t, filepath.Join(b.dir, "lower"))
	for name, from := range map[string]string{"lower/busybox": busybox, "imprint": "/proc/self/exe"} {
		writeFile(t, filepath.Join(b.dir, name), string(read(t, from)))
		os.Chmod(filepath.Join(b.dir, name), 0o755)
	}
	return b
}

// asNobody runs a script as an ordinary user with or without subordinate IDs, and returns what it says.
func (b layerBox) asNobody(script string, many bool) string {
	b.t.Helper()
	c := hosttest.AsNobody(b.t, b.dir, script, many)
	c.Env = append(b.command().Env, "PATH="+b.dir+":"+os.Getenv("PATH"))
	out, err := c.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// A user without subordinate IDs runs commands and steps that change no owner. One that does fails, and is told what allows it.
func TestOneUser(t *testing.T) {
	b := newNobodyBox(t)
	s := stepBox{b}
	s.describe("works.toml", "echo x >/x; /busybox mkdir -m 0 /none")
	s.describe("fails.toml", "echo x >/x; /busybox chown 33:33 /x")
	said := b.asNobody(`ln -s lower base; mkdir build
imprint env init web lower && imprint env run web --save -- /busybox mkdir /d || exit 1
imprint env run web -- /busybox chown 33:33 /d && exit 2
imprint build works.toml -o build/works.raw && imprint ls -l build/works.raw / || exit 3
imprint build fails.toml -o build/fails.raw && exit 4
imprint cache healthcheck`, false)
	const remedy = "\nhint: to give files to other users here, install newuidmap (Debian: uidmap) and let root give this user IDs: usermod --add-subuids"
	if strings.Count(said, remedy) != 2 || !regexp.MustCompile(`(?m)^d--------- +0:0 .* none$`).MatchString(said) || !strings.Contains(said, "\nowners       one") {
		t.Errorf("it says %s", said)
	}
}

// Where user namespaces are forbidden, run says what allows them and keeps nothing; everything else works.
func TestEnvForbidden(t *testing.T) {
	busybox := needSandbox(t)
	b := newLayerBox(t)
	mkdir(t, filepath.Join(b.dir, "lower"))
	writeFile(t, filepath.Join(b.dir, "lower/busybox"), string(read(t, busybox)))
	script := `echo 0 >/proc/sys/user/max_user_namespaces || exit 77
imprint env init web lower && mkdir m && imprint env mount web --tree m && test -e m/busybox || exit 1
imprint env run web --save -- /busybox true 2>error && exit 2
imprint env list | grep '1 layer' && imprint env verify`
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
	c.Dir, c.Env = b.dir, b.command().Env
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() == 77 {
		t.Skip("the limit of user namespaces cannot be set")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(read(t, filepath.Join(b.dir, "error")))
	if !strings.HasPrefix(text, "imprint: the host forbids user namespaces, in which commands run: ") || !strings.Contains(text, "; root allows them with sysctl user.max_user_namespaces=10000") {
		t.Errorf("it says %s", text)
	}
	exec.Command("chmod", "-R", "u+w", filepath.Join(b.dir, "m")).Run()
}

// Whatever a command does to a tree, by overlayfs, the layer of its writes does too: a tree that is made of the layers is the one that the command has left.
func TestEnvSavesWhatWasDone(t *testing.T) {
	busybox := needSandbox(t)
	b := newLayerBox(t)
	mkdir(t, filepath.Join(b.dir, "lower"))
	writeFile(t, filepath.Join(b.dir, "lower/busybox"), string(read(t, busybox)))
	os.Chmod(filepath.Join(b.dir, "lower/busybox"), 0o755)
	mkdir(t, filepath.Join(b.dir, "lower/t"))
	mkdir(t, filepath.Join(b.dir, "lower/dev"))
	b.run("init", "web", "lower")
	const list = "\n/busybox find /t | /busybox sort | while read -r p; do /busybox stat -c '%N %F %a' $p; /busybox test -f $p && /busybox cat $p; done; true"
	random := rand.New(rand.NewPCG(7, 11))
	path := func() string {
		p := "/t"
		for range 1 + random.IntN(3) {
			p += "/" + string("abc"[random.IntN(3)])
		}
		return p
	}
	rounds := 6
	if os.Getenv("IMPRINT_SLOW") == "1" {
		rounds = 60
	}
	for range rounds {
		script := "exec 2>/dev/null\n"
		for i := range 12 {
			switch p, q := path(), path(); random.IntN(8) {
			case 0:
				script += "/busybox rm -rf " + p
			case 1, 2:
				script += "/busybox mkdir -p " + p
			case 3:
				script += "/busybox ln -s " + q + " " + p
			case 4:
				script += "/busybox mv " + p + " " + q
			case 5:
				script += "/busybox ln " + p + " " + q
			case 6:
				script += fmt.Sprintf("/busybox chmod %o %s", 0o500+random.IntN(0o300), p)
			default:
				script += fmt.Sprintf("echo %d >%s", i, p)
			}
			script += "\n"
		}
		var before, said strings.Builder
		c := b.command("run", "web", "--save", "--", "/busybox", "sh", "-c", script+list)
		c.Stdout, c.Stderr = &before, &said
		if err := c.Run(); err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
		done, _, _ := strings.Cut(before.String(), "web: ")
		if after := b.run("run", "web", "--clean", "--", "/busybox", "sh", "-c", list); after != done {
			t.Fatalf("after\n%s\nthe tree was\n%s\nand became\n%s", script, done, after)
		}
	}
	b.run("verify")
}
