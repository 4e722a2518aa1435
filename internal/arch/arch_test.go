package arch

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestModule(t *testing.T) {
	root := os.DirFS("../..")
	if _, err := root.Open("go.mod"); err != nil {
		t.Fatal(err)
	}
	breaches, err := check(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range breaches {
		t.Error(b)
	}
}

// Programs do not contain what is for tests, whose flags they would have.
func TestPrograms(t *testing.T) {
	for _, program := range []string{"cmd/imprint", "dist", "bench", "internal/demostore/make"} {
		out, err := exec.Command("go", "list", "-deps", "../../"+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		if uses := strings.Fields(string(out)); slices.Contains(uses, "testing") || !slices.Contains(uses, "os") {
			t.Errorf("%s uses package testing", program)
		}
	}
}

func TestBreachesAreFound(t *testing.T) {
	for _, c := range []struct{ file, src, want string }{
		{"internal/units/x.go", `import "imprint/partition"`, "internal/units/x.go:2: internal/units may not import partition, only [\"internal/...\"]"},
		{"internal/tree/x.go", `import "imprint/image/plan"`, "may not import image/plan"},
		{"partition/ext4/x.go", `import "imprint/partition"`, "partition/ext4 may not import partition"},
		{"partition/ext4/x.go", `import "imprint/partition/fat"`, "partition/ext4 may not import partition/fat"},
		{"partition/x.go", `import "imprint/closure"`, "partition may not import closure"},
		{"closure/x.go", `import "imprint/partition"`, "closure may not import partition"},
		{"bootloader/x.go", `import "imprint/closure"`, "bootloader may not import closure"},
		{"bootloader/x.go", `import "imprint/partition/fat"`, "bootloader may not import partition/fat"},
		{"image/gpt/x.go", `import "imprint/image/plan"`, "image/gpt may not import image/plan"},
		{"image/resolve/x.go", `import "imprint/cmd/imprint"`, "image/resolve may not import cmd/imprint"},
		{"closure/nar/x.go", `import "github.com/ncruces/go-sqlite3"`, "closure/nar may not import github.com/ncruces/go-sqlite3"},
		{"image/resolve/x.go", `import "github.com/diskfs/go-diskfs/disk"`, "image/resolve may not import github.com/diskfs/go-diskfs/disk"},
		{"image/resolve/x.go", `import "github.com/BurntSushi/toml"`, "image/resolve may not import github.com/BurntSushi/toml"},
		{"image/description/x.go", `import "github.com/BurntSushi/toml"`, "image/description may not import github.com/BurntSushi/toml"},
		{"internal/keyed/x.go", `import "imprint/partition"`, "internal/keyed may not import partition"},
		{"image/resolve/x.go", `import "imprint/internal/hosttest"`, "which is for tests"},
		{"misc/x.go", `import "fmt"`, "misc is in no room"},
		{"image/iso/x.go", `import "fmt"`, "image/iso is in no room"},

		{"image/resolve/x.go", `import "os/exec"`, "image/resolve imports os/exec: host tools"},
		{"cmd/imprint/x.go", `import "os/exec"`, "cmd/imprint imports os/exec"},
		{"partition/fat/x.go", `import "math/rand/v2"`, "imports math/rand/v2: identifiers"},
		{"image/resolve/x.go", `import "crypto/rand"`, "imports crypto/rand"},
		{"image/resolve/x.go", "import \"time\"\nvar t = time.Now()", "image/resolve/x.go:3: image/resolve uses time.Now: no clock"},
		{"image/resolve/x.go", "import clock \"time\"\nvar t = clock.Since", "uses time.Since"},
		{"image/resolve/x.go", "import . \"time\"\nvar t = Now()", "time is imported with a dot"},
		{"internal/hosttree/x.go", "import \"os\"\nfunc f() { _ = os.Getenv(\"TZ\") }", "internal/hosttree/x.go:3: internal/hosttree uses os.Getenv: no environment"},
		{"internal/hosttool/x.go", "import \"os\"\nfunc f() { os.Exit(1) }", "uses os.Exit"},
		{"image/resolve/x.go", "import \"fmt\"\nfunc f() { fmt.Println() }", "uses fmt.Println"},
		{"partition/x.go", "import \"github.com/google/uuid\"\nvar id = uuid.New()", "uses github.com/google/uuid.New"},
		{"image/resolve/x.go", "type t struct { A string `toml:\"a\"` }", "image/resolve/x.go:2: a TOML key outside"},
		{"image/plan/x.go", `import "imprint/image/resolve"`, "image/plan may not import image/resolve"},
		{"image/plan/x.go", `import "os"`, "image/plan imports os: it is values"},
		{"image/host/x.go", `import "imprint/image/plan"`, "image/host may not import image/plan"},
		{"image/identity/x.go", `import "imprint/closure"`, "image/identity may not import closure"},
		{"image/identity/x.go", `import "os"`, "image/identity imports os: it is values"},
		{"image/description/x.go", `import "imprint/image/plan"`, "image/description may not import image/plan"},
		{"image/resolve/x.go", `import "net/http"`, "image/resolve imports net/http: only internal/remote fetches"},
		{"image/serve/x.go", `import "net"`, "image/serve imports net: only internal/remote fetches, and only servers listen"},
		{"internal/httpfile/x.go", "import \"net/http\"\nfunc f() { http.Get(\"\") }", "uses net/http.Get: only internal/remote fetches"},
		{"internal/nbd/x.go", "import \"net\"\nfunc f() { net.Dial(\"\", \"\") }", "uses net.Dial: only internal/remote fetches"},
		{"partition/erofs/x.go", `import "os"`, "partition/erofs imports os"},
		{"image/plan/x.go", "var f = \"ext4\"", "image/plan says \"ext4\": file systems"},
		{"image/resolve/x.go", "const l = `grub`", "boot loaders are described"},
		{"image/write/x.go", "const l = `syslinux`", "boot loaders are described"},
		{"image/description/x.go", "const f = `iso`", "the word for an ISO"},
		{"bootloader/x.go", "const s = \"/nix/store\"", "store directories"},
	} {
		breaches, err := checkFile(c.file, []byte("package x\n"+c.src+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if len(breaches) != 1 || !strings.Contains(breaches[0].String(), c.want) {
			t.Errorf("%s: %s:\ngot %v\nwant one with %q", c.file, c.src, breaches, c.want)
		}
	}
}

func TestWhatIsAllowed(t *testing.T) {
	for _, c := range []struct{ file, src string }{
		{"cmd/imprint/x.go", "import (\"time\"; \"os\"; \"imprint/image/write\"; \"github.com/spf13/cobra\"; \"crypto/rand\")\nvar _, _ = time.Now(), os.Getenv"},
		{"image/resolve/x.go", `import ("imprint/bootloader"; "imprint/closure"; "imprint/image/description"; "os")`},
		{"image/description/description.go", "type t struct { A string `toml:\"a\"` }"},
		{"image/resolve/x.go", "import \"time\"\nvar d = time.Second"},
		{"image/resolve/x.go", "type clock struct{}\nfunc (clock) Now() {}\nfunc f(time clock) { time.Now() }"},
		{"bootloader/x.go", `import ("imprint/bootloader/pe"; "imprint/internal/tree")`},
		{"partition/partitiontest/x.go", `import ("imprint/partition"; "imprint/internal/hosttest"; "os/exec")`},
		{"closure/db/x.go", `import "github.com/ncruces/go-sqlite3/vfs/readervfs"`},
		{"internal/hosttool/x.go", "import (\"os\"; \"os/exec\")\nvar _, _ = os.Getenv, exec.Command"},
		{"internal/nbd/x.go", "import (\"net\"; \"time\")\nvar l net.Listener\nvar _ = time.Now"},
		{"internal/qemutest/boot/x.go", `import ("os/exec"; "imprint/internal/qemutest")`},
	} {
		breaches, err := checkFile(c.file, []byte("package x\n"+c.src+"\n"))
		if err != nil || len(breaches) > 0 {
			t.Errorf("%s: %s:\n%v %v", c.file, c.src, err, breaches)
		}
	}
}

func TestCheckReadsTheWholeModule(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package x\nimport \"os/exec\"\n")}
	breaches, err := check(fstest.MapFS{
		"image/plan/a.go": bad, "partition/ext4/b.go": bad, "image/plan/a_test.go": bad, "image/testdata/c.go": bad, ".git/d.go": bad, "image/e.txt": bad,
	})
	if err != nil || len(breaches) != 2 {
		t.Errorf("got %v, %v; want two breaches", breaches, err)
	}
	if _, err := check(fstest.MapFS{"image/plan/a.go": {Data: []byte("pakcage x")}}); err == nil {
		t.Error("a file that is no Go was read")
	}
}
