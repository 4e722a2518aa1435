package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/closure/nar"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
)

// A release is the same wherever and by whoever it is built, and Debian's tools, the shells and an emulator of arm64 take it.
func TestRelease(t *testing.T) {
	here, there := buildRelease(t, "022", "TZ=UTC"), buildRelease(t, "077", "TZ=Asia/Tokyo", "LC_ALL=tr_TR.UTF-8")
	if len(here) != 7 {
		t.Fatalf("%d files, want 7: %v", len(here), here)
	}
	dir := t.TempDir()
	for name, content := range here {
		if !bytes.Equal(content, there[name]) {
			t.Errorf("%s differs between two directories", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	hosttest.Run(t, "sha256sum", "--check", "--strict", "SHA256SUMS")
	t.Run("programs", checkPrograms)
	t.Run("archive", checkArchive)
	t.Run("package", checkPackage)
}

// buildRelease runs dist in a copy of the module, in a directory of its own, and returns the files. IMPRINT_SLOW=1 compiles without a cache.
func buildRelease(t *testing.T, umask string, env ...string) map[string][]byte {
	t.Helper()
	dir, out := copyModule(t), filepath.Join(t.TempDir(), "out")
	if os.Getenv("IMPRINT_SLOW") == "1" {
		env = append(env, "GOCACHE="+t.TempDir())
	}
	cmd := exec.Command("sh", "-c", "umask "+umask+` && exec go run -trimpath -buildvcs=false ./dist -o "$1" -version v1.2.3 -epoch 1700000000`, "sh", out)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dist: %v\n%s", err, text)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(out, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// copyModule copies the module, without what was built, to a new directory.
func copyModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"build", "bin", ".git"}, name):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// checkPrograms checks that the programs are static, and runs them; both write the same image.
func checkPrograms(t *testing.T) {
	description := "name = \"data\"\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"
	if err := os.WriteFile("data.toml", []byte(description), 0o644); err != nil {
		t.Fatal(err)
	}
	images := map[string][]byte{}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		program := "./imprint-1.2.3-linux-" + arch
		f, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machine || slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC }) {
			t.Errorf("%s is for %v, or not static", program, f.Machine)
		}
		f.Close()
		run := []string{program}
		if runtime.GOARCH != arch {
			hosttest.Need(t, emulators[arch])
			run = []string{emulators[arch], program}
		}
		version := hosttest.Run(t, "env", append(run, "version")...)
		if !regexp.MustCompile(`^imprint v1\.2\.3 \(go1\.\S+, linux/` + arch + `\)\n$`).MatchString(version) {
			t.Errorf("%s: version is %q", program, version)
		}
		hosttest.Run(t, "env", append(run, "build", "data.toml", "-o", arch+".raw")...)
		if images[arch], err = os.ReadFile(arch + ".raw"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(images["amd64"], images["arm64"]) {
		t.Error("the two programs write different images")
	}
}

// emulators run programs of another architecture.
var emulators = map[string]string{"amd64": "qemu-x86_64", "arm64": "qemu-aarch64"}

// installed are files of the archive and of the package, below the prefix.
var installed = []string{
	"bin/imprint", "share/bash-completion/completions/imprint", "share/fish/vendor_completions.d/imprint.fish", "share/zsh/site-functions/_imprint",
	"share/doc/imprint/copyright", "share/doc/imprint/docs/description.md", "share/doc/imprint/nix/make-image.nix",
}

func checkArchive(t *testing.T) {
	f, err := os.Open("imprint-1.2.3-linux-amd64.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uname != "root" || h.Uid != 0 || !h.ModTime.Equal(time.Unix(1700000000, 0)) || h.Mode&0o022 != 0 {
			t.Errorf("%s: %s, %v, mode %o", h.Name, h.Uname, h.ModTime, h.Mode)
		}
		names = append(names, h.Name)
	}
	for _, name := range append(installed, "share/man/man1/imprint-build.1", "share/man/man5/imprint.toml.5") {
		if !slices.Contains(names, "imprint-1.2.3/"+name) {
			t.Errorf("no %s in %v", name, names)
		}
	}
}

func checkPackage(t *testing.T) {
	const deb = "imprint_1.2.3_arm64.deb"
	info := hosttest.Run(t, "dpkg-deb", "--show", "--showformat=${Package} ${Version} ${Architecture}", deb)
	if info != "imprint 1.2.3 arm64" {
		t.Errorf("the package is %s", info)
	}
	list := hosttest.Run(t, "dpkg-deb", "--contents", deb)
	for _, name := range append(installed, "share/man/man1/imprint-build.1.gz", "share/man/man5/imprint.toml.5.gz") {
		if !strings.Contains(list, " ./usr/"+name+"\n") {
			t.Errorf("no %s in the package:\n%s", name, list)
		}
	}
	hosttest.Run(t, "dpkg-deb", "--raw-extract", deb, "raw")
	t.Chdir("raw")
	page := hosttest.Run(t, "gzip", "-dc", "usr/share/man/man1/imprint.1.gz")
	if !strings.Contains(page, `"Nov 2023"`) {
		t.Errorf("the manual page has another date than the release:\n%.300s", page)
	}
	hosttest.Run(t, "md5sum", "--check", "--strict", "DEBIAN/md5sums")
	program, err := os.ReadFile("usr/bin/imprint")
	if want, _ := os.ReadFile("../imprint-1.2.3-linux-arm64"); err != nil || !bytes.Equal(program, want) {
		t.Error("the program in the package is another one: ", err)
	}
}

// dpkg sorts the versions of builds as they were made.
func TestDebianVersion(t *testing.T) {
	last := ""
	for _, test := range [][2]string{
		{"abcdef0", "0~abcdef0"},
		{"v1.2.3-rc1", "1.2.3~rc1"},
		{"v1.2.3-rc1-2-gabcdef0", "1.2.3~rc1+2.gabcdef0"},
		{"v1.2.3", "1.2.3"},
		{"v1.2.3-4-gabcdef0-dirty", "1.2.3+4.gabcdef0.dirty"},
		{"v1.2.3-10-g0000000", "1.2.3+10.g0000000"},
		{"v1.2.4", "1.2.4"},
	} {
		got := release{version: test[0]}.debianVersion()
		if got != test[1] {
			t.Errorf("%s becomes %s, want %s", test[0], got, test[1])
		}
		if last != "" {
			hosttest.Run(t, "dpkg", "--compare-versions", last, "lt", got)
		}
		last = got
	}
}

// flake.nix has the hash of the modules that Nix builds the program of.
func TestVendorHash(t *testing.T) {
	dir := copyModule(t)
	cmd := exec.Command("go", "mod", "vendor")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("not all modules can be fetched: %v\n%s", err, out)
	}
	node, err := new(hosttree.Scanner).Read(filepath.Join(dir, "vendor"))
	if err != nil {
		t.Fatal(err)
	}
	hash, _, err := nar.Hash(node)
	if err != nil {
		t.Fatal(err)
	}
	flake, err := os.ReadFile("../flake.nix")
	if want := `vendorHash = "sha256-` + base64.StdEncoding.EncodeToString(hash[:]) + `";`; err != nil || !strings.Contains(string(flake), want) {
		t.Errorf("flake.nix should have %s (%v)", want, err)
	}
}
