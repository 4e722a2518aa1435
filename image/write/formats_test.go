package write_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/container"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/hosttest"
	"imprint/internal/output"
	"imprint/internal/processors"
)

// inFormats writes a plan in all formats that can be read back, and the map, and returns the files and the result. Without raw, the disk is no
// output. Names leave out all other formats.
func inFormats(t *testing.T, p *plan.Plan, o write.Options, raw bool, names ...string) (files map[string][]byte, r *write.Result) {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk, err := output.Create(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Discard()
	outputs := map[string]*output.Output{}
	for _, f := range container.Formats {
		if !f.Readable && !f.Beside || len(names) > 0 && !slices.Contains(names, f.Name) {
			continue
		}
		out, err := output.Create(filepath.Join(dir, "disk"+f.Suffixes[0]))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Discard()
		outputs[f.Name] = out
		o.Formats = append(o.Formats, write.Formatted{Output: out, Format: f})
	}
	o.Scratch = !raw
	if r, err = write.Image(t.Context(), disk.File, p, l, o); err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	if raw {
		files["disk"] = content(t, disk.File)
	}
	for name, out := range outputs {
		files[name] = content(t, out.File)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	return files, r
}

func content(t *testing.T, f *os.File) []byte {
	t.Helper()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, size)
	if _, err := f.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

// Every format holds the disk, has the same bytes with one worker and with many, with a raw output and without, and leaves digests as they are:
// for structure of our own and of host tools, file systems in others, and partitions that begin within a block of the hash tree.
func TestFormats(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *plan.Plan{
		"disk": func(t *testing.T) *plan.Plan {
			w, system := imagetest.Boot(t)
			return planned(t, w, fmt.Sprintf(imagetest.Bootable, system))
		},
		"by a host tool": func(t *testing.T) *plan.Plan {
			hosttest.Need(t, "mke2fs", "debugfs")
			w, system := imagetest.Boot(t)
			return planned(t, w, strings.Replace(fmt.Sprintf(imagetest.Bootable, system), `filesystem = "ext4"`, "filesystem = \"ext4\"\nengine = \"mke2fs\"", 1))
		},
		"iso": func(t *testing.T) *plan.Plan { _, p := isoPlan(t, "erofs"); return p },
	} {
		t.Run(name, func(t *testing.T) {
			p := make(t)
			want, _, plain := imagetest.Build(t, p, write.Options{})
			defer processors.Use(1)()
			one, r1 := inFormats(t, p, write.Options{}, true)
			processors.Use(6)
			many, r2 := inFormats(t, p, write.Options{}, false)
			for format, file := range many {
				if !bytes.Equal(file, one[format]) {
					t.Errorf("%s: %d bytes with many workers differ from %d with one", format, len(file), len(one[format]))
				}
				if container.Named(format).Readable {
					holds(t, format, file, want)
				}
			}
			if !bytes.Equal(one["disk"], want) {
				t.Error("the disk differs from one without other outputs")
			}
			for _, r := range []*write.Result{r1, r2} {
				if fmt.Sprint(r.Digests) != fmt.Sprint(plain.Digests) {
					t.Errorf("digests %v, want %v", r.Digests, plain.Digests)
				}
			}
			bare, r3 := inFormats(t, p, write.Options{NoDigest: true, NoVerify: true}, false)
			if !bytes.Equal(bare["qcow2"], many["qcow2"]) || r3.Digests.Image != "" {
				t.Errorf("without hashes the bytes are others, or there is a digest %q", r3.Digests.Image)
			}
			_, r4 := inFormats(t, p, write.Options{SHA256: true}, false)
			_, _, sums := imagetest.Build(t, p, write.Options{SHA256: true})
			if r4.Digests.SHA256 != sums.Digests.SHA256 {
				t.Errorf("SHA-256 %s, want %s", r4.Digests.SHA256, sums.Digests.SHA256)
			}
		})
	}
}

func planned(t *testing.T, w imagetest.World, text string) *plan.Plan {
	t.Helper()
	p, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// holds compares the disk in a file.
func holds(t *testing.T, format string, file, want []byte) {
	t.Helper()
	var disk io.ReaderAt = bytes.NewReader(file)
	size := int64(len(file))
	if image, err := container.Open(disk, size); err != nil {
		t.Errorf("%s: %v", format, err)
		return
	} else if image != nil {
		disk, size = image, image.Size()
	}
	got := make([]byte, size)
	if _, err := disk.ReadAt(got, 0); err != nil {
		t.Errorf("%s: %v", format, err)
	}
	if size != container.Named(format).DiskSize(int64(len(want))) || !bytes.Equal(got[:len(want)], want) {
		t.Errorf("%s: the disk of %d bytes differs", format, size)
	}
}

// An output that cannot be written ends the build.
func TestFormatThatFails(t *testing.T) {
	w, system := imagetest.Boot(t)
	p := planned(t, w, fmt.Sprintf(imagetest.Bootable, system))
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"qcow2", "raw.zst", "vmdk-stream", "gce", "vhdx"} {
		dir := t.TempDir()
		disk, err := output.Create(filepath.Join(dir, "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Discard()
		out, err := output.Create(filepath.Join(dir, "other"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Discard()
		if out.File, err = os.Open(os.DevNull); err != nil { // where nothing can be written
			t.Fatal(err)
		}
		o := write.Options{Formats: []write.Formatted{{Output: out, Format: container.Named(name)}}}
		if _, err := write.Image(t.Context(), disk.File, p, l, o); err == nil || !strings.Contains(err.Error(), os.DevNull) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s left %v, %v", name, left, err)
		}
	}
}
