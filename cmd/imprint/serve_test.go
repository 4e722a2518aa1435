package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// A served is imprint serve, as it runs.
type served struct {
	cmd        *exec.Cmd
	out        *bufio.Scanner
	complaints bytes.Buffer
	nbd, http  string // URIs
}

// serving starts imprint serve with stand-ins for host tools, and waits until it says where the disk is.
func serving(t *testing.T, args ...string) *served {
	t.Helper()
	tools, err := filepath.Abs("testdata/stand-ins")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{cmd: exec.Command("imprint", append([]string{"serve"}, args...)...)}
	s.cmd.Env = []string{"PATH=" + tools + ":" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	s.cmd.Stderr = &s.complaints
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	s.out = bufio.NewScanner(stdout)
	wanted := len(regexp.MustCompile(`(?m)^--(nbd|http)\b`).FindAllString(strings.Join(args, "\n"), -1))
	for wanted > 0 && s.out.Scan() {
		name, uri, _ := strings.Cut(strings.TrimSpace(s.out.Text()), " ")
		switch uri = strings.TrimSpace(uri); name {
		case "nbd":
			s.nbd = uri
			wanted--
		case "http":
			s.http = uri
			wanted--
		}
	}
	if wanted > 0 {
		s.cmd.Wait()
		t.Fatalf("serve %q ends:\n%s", args, &s.complaints)
	}
	return s
}

// end waits for the end, and returns the exit code and what was printed after the start.
func (s *served) end(t *testing.T) (code int, said string) {
	t.Helper()
	timer := time.AfterFunc(30*time.Second, func() { s.cmd.Process.Kill() })
	defer timer.Stop()
	for s.out.Scan() {
		said += s.out.Text() + "\n"
	}
	s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode(), said
}

// stop interrupts it, which is how it ends in good order, and returns what it says then.
func (s *served) stop(t *testing.T) string {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGINT)
	code, said := s.end(t)
	if code != 0 || s.complaints.String() != "" && strings.Contains(s.complaints.String(), "imprint:") {
		t.Errorf("exit code %d, %s", code, &s.complaints)
	}
	return said
}

// socketPath is the path of a socket, short enough for one.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "serve-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// Every description is served with the bytes that are built, but for those that need a real sqfstar.
func TestServe(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "qemu-img", "nbdcopy")
	s := setting{dir: syntheticConfigs(t), umask: "022"}
	for _, file := range descriptions(t) {
		name := filepath.Base(file)
		if regexp.MustCompile(`(?m)^filesystem += "squashfs"`).Match(read(t, file)) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, image, socket := filepath.Join(s.dir, "configs", name), filepath.Join(t.TempDir(), "image"), socketPath(t)
			needsOf(t, file)
			s.run(t, "build", file, "-o", image, "--no-digest")
			defer os.Remove(image)
			now := serving(t, file, "--nbd", "unix:"+socket, "--build-store", filepath.Join(s.dir, "cache/imprint"))
			hosttest.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", image, now.nbd)
			hosttest.Run(t, "nbdcopy", now.nbd, image+".copy")
			sameFiles(t, image, image+".copy")
			os.Remove(image + ".copy")
			if said := now.stop(t); !regexp.MustCompile(`^read .* \(100\.0 %\)\n`).MatchString(said) {
				t.Errorf("after everything was read, serve says\n%s", said)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(socket), "*")); len(left) > 0 {
				t.Errorf("left are %q", left)
			}
		})
	}
}

// What clients write is kept in a file, which belongs to that image; the image and its sources stay as they are.
func TestServeWrite(t *testing.T) {
	hosttest.Need(t, "qemu-img", "nbdcopy", "qemu-io")
	dir := syntheticConfigs(t)
	file, image, changes := filepath.Join(dir, "configs/hello.toml"), filepath.Join(dir, "hello.raw"), filepath.Join(dir, "changes")
	setting{dir: dir, umask: "022"}.run(t, "build", file, "-o", image)
	want := read(t, image)
	copy(want[5<<20:], strings.Repeat("\xaa", 1<<20))
	for _, what := range []string{file, image} {
		os.Remove(changes)
		for round := range 2 {
			now := serving(t, what, "--nbd", "unix:"+socketPath(t), "--write", changes)
			if round == 0 {
				hosttest.Run(t, "qemu-io", "-f", "raw", "-c", "write -P 0xaa 5M 1M", "-c", "flush", now.nbd)
			}
			hosttest.Run(t, "nbdcopy", now.nbd, image+".copy")
			if !bytes.Equal(read(t, image+".copy"), want) {
				t.Errorf("%s, round %d: the disk has other bytes", what, round)
			}
			now.stop(t)
		}
	}
	writeFile(t, file, strings.Replace(string(read(t, file)), "hello", "other", 1))
	out, err := exec.Command("imprint", "serve", file, "--nbd", "unix:"+socketPath(t), "--write", changes).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "it belongs to another image") {
		t.Errorf("the file for changes of another image: %v, %s", err, out)
	}
	out, err = exec.Command("imprint", "serve", image, "--nbd", "unix:"+socketPath(t), "--write", image).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a different file exists") {
		t.Errorf("the image as a file for changes: %v, %s", err, out)
	}
}

// By HTTP the image is a file that can be had in parts, also from several servers: the tag of equal images is equal, and that of others is not.
func TestServeHTTP(t *testing.T) {
	hosttest.Need(t, "curl")
	dir := syntheticConfigs(t)
	file, image := filepath.Join(dir, "configs/hello.toml"), filepath.Join(dir, "hello.raw")
	setting{dir: dir, umask: "022"}.run(t, "build", file, "-o", image)
	tag := func(what string) (tag, url string, s *served) {
		s = serving(t, what, "--http", "127.0.0.1:0")
		head := hosttest.Run(t, "curl", "-sSfI", s.http)
		found := regexp.MustCompile(`(?mi)^etag: ("[0-9a-f]{64}")`).FindStringSubmatch(head)
		if found == nil || !strings.HasSuffix(s.http, "/hello.raw") {
			t.Fatalf("%s\n%s", s.http, head)
		}
		return found[1], s.http, s
	}
	first, url, one := tag(file)
	same, other, two := tag(file)
	ofImage, third, three := tag(image)
	if first != same {
		t.Error("two servers of one image have different tags")
	}
	out := filepath.Join(dir, "out")
	hosttest.Run(t, "curl", "-sSf", "-r", "0-33333333", "-o", out, url)
	hosttest.Run(t, "curl", "-sSf", "-C", "-", "-H", "If-Range: "+same, "-o", out, other)
	sameFiles(t, image, out) // half from one server and half from another
	hosttest.Run(t, "curl", "-sSf", "-o", out, third)
	sameFiles(t, image, out)
	for _, s := range []*served{one, two, three} {
		s.stop(t)
	}
	src := string(read(t, file))
	writeFile(t, file, strings.Replace(src, "[[partition.dir]]\npath = \"/tmp\"", "[[partition.dir]]\npath = \"/tmq\"", 1))
	changed, _, four := tag(file)
	four.stop(t)
	if changed == first || ofImage == changed {
		t.Error("another image has the same tag")
	}
}

// A source that changes ends serve with the exit code for contents that do not match, and no client gets another byte.
func TestServeChanged(t *testing.T) {
	hosttest.Need(t, "nbdcopy", "curl")
	dir := syntheticConfigs(t)
	for _, damage := range []func(t *testing.T, item string){
		func(t *testing.T, item string) { os.Chtimes(item, time.Unix(7, 0), time.Unix(7, 0)) },
		func(t *testing.T, item string) { os.Chmod(filepath.Dir(item), 0o755); os.Remove(item) },
	} {
		t.Run("", func(t *testing.T) {
			now := serving(t, filepath.Join(dir, "configs/hello.toml"), "--nbd", "unix:"+socketPath(t), "--http", "127.0.0.1:0")
			files, err := filepath.Glob(filepath.Join(dir, "build/demo/store/nix/store/*/*"))
			if err != nil || len(files) == 0 {
				t.Fatal("no files of the store: ", err)
			}
			for _, file := range files {
				if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
					damage(t, file)
				}
			}
			copied := filepath.Join(t.TempDir(), "copy")
			if err := exec.Command("nbdcopy", now.nbd, copied).Run(); err == nil {
				t.Error("nbdcopy has noticed nothing")
			}
			code, _ := now.end(t)
			if code != exitMismatch || !strings.Contains(now.complaints.String(), "/nix/store/") {
				t.Errorf("exit code %d, %s", code, &now.complaints)
			}
		})
	}
}

// A served disk boots, and the description as well as the image boot by imprint boot, with a shell's exit code.
func TestBootCommand(t *testing.T) {
	t.Parallel()
	dir := configs(t)
	hello := filepath.Join(dir, "hello.toml")
	image := filepath.Join(dir, "hello.raw")
	imprint(t, "build", hello, "-o", image)
	src := string(read(t, hello))
	large := filepath.Join(dir, "large-sectors.toml")
	writeFile(t, large, strings.Replace(src, "\narch ", "\nsector-size = 4096\narch ", 1))
	for name, what := range map[string]string{
		"served":             hello,
		"an image":           image,
		"4096 bytes sectors": large,
		"bios":               filepath.Join(dir, "grub-bios.toml"),
		"without a loader":   filepath.Join(dir, "direct.toml"),
		"iso":                filepath.Join(dir, "iso.toml"),
		"aarch64":            filepath.Join(dir, "uki-aarch64.toml"),
		"u-boot":             filepath.Join(dir, "board.toml"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, _ := os.Stat(image)
			r := qemutest.Boot(t, qemutest.Options{
				Image: what, Command: "imprint boot " + what + " --", Marker: marker, Bad: failure, PowerOff: true,
			})
			if strings.HasSuffix(what, ".toml") && !regexp.MustCompile(`(?m)^read .* of .*%\)$`).MatchString(r.Serial) {
				t.Errorf("no share of bytes is printed:\n%.2000s", r.Serial)
			}
			if after, err := os.Stat(image); err != nil || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("the image has changed: %v", err)
			}
		})
	}
}
