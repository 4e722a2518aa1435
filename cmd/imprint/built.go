package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"imprint/cmd/imprint/seriescmd"
	"imprint/image/diff"
	"imprint/image/emulator"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/units"
	"imprint/internal/visible"
)

// A build is the result of writing an image.
type build struct {
	*write.Result
	manifest *plan.Manifest
	entries  []write.ExportedEntry
	seconds  float64

	differences []diff.Change // of a second build, with --check
	kept        *seriescmd.Result
}

// built reports what was built, and how to boot it.
func (r *root) built(f buildFlags, b *build) error {
	if f.write.NoVerify {
		r.log.Warn("the NAR hashes of store items were not checked (--no-verify)")
	}
	if r.json {
		r.ui.event(f.doneEvent(b))
		return cmp.Or(r.ui.failed, b.checked())
	}
	_, err := io.WriteString(r.stdout, f.outputLines(b)+f.detailLines(b))
	return cmp.Or(err, b.checked())
}

// lengths returns the length of the first output, which is that of the disk if it has it, and the space that it takes, in bytes.
func (f buildFlags) lengths(b *build) (length, onDisk int64) {
	length, onDisk = f.first().sizes()
	if f.first().Format.HoldsDisk() {
		length = b.manifest.Size
	}
	return length, onDisk
}

// doneEvent returns the report of a build as an event.
func (f buildFlags) doneEvent(b *build) event {
	first := f.first()
	length, onDisk := f.lengths(b)
	done := event{
		"event": "done", "image": first.Name, "size": length, "onDisk": onDisk, "written": b.Written, "seconds": b.seconds,
		"digest": b.Digests.Image, "sha256": b.Digests.SHA256, "verified": !f.write.NoVerify, "manifest": f.manifestOf(first),
		"outputs": f.outputEvents(),
	}
	if b.kept != nil {
		done["series"] = b.kept
	}
	if f.twice {
		done["differences"] = append([]diff.Change{}, b.differences...)
	}
	return done
}

// outputLines returns a line for each output.
func (f buildFlags) outputLines(b *build) string {
	first := f.first()
	length, onDisk := f.lengths(b)
	holds := units.Count(len(b.manifest.Partitions), "partition")
	if !first.Format.HoldsDisk() {
		holds = "partition " + first.Partition
	}
	size := units.FormatBytes(length) + " (" + units.FormatBytes(onDisk) + " on disk)"
	if first.to != nil {
		size = units.FormatBytes(first.to.written)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s, %s, %s, in %.1f s\n", first.title(), size, holds, units.Count(len(b.manifest.Items), "store item"), b.seconds)
	for _, t := range f.targetList {
		if t == first {
			continue
		}
		length, onDisk := t.sizes()
		fmt.Fprintf(&text, "%s: %s, %s (%s on disk)\n", t.title(), t.Format.Name, units.FormatBytes(length), units.FormatBytes(onDisk))
	}
	return text.String()
}

// detailLines returns what else there is to say about a build.
func (f buildFlags) detailLines(b *build) string {
	var text strings.Builder
	for _, line := range [][2]string{
		{"digest", b.Digests.Image}, {"sha256", b.Digests.SHA256}, {"manifest", visible.Line(f.manifestOf(f.first()))}, {"boot", f.bootLine(b)},
	} {
		if line[1] != "" {
			fmt.Fprintf(&text, "  %-8s  %s\n", line[0], line[1])
		}
	}
	if b.kept != nil {
		text.WriteString(b.kept.Text())
	}
	if f.write.NoVerify {
		text.WriteString("  unverified: the NAR hashes of store items were not checked\n")
	}
	switch {
	case len(b.differences) > 0:
		fmt.Fprintf(&text, "  check     built again in other conditions, and different:\n%s\n", strings.TrimSuffix(diff.Text(b.differences, false), "\n"))
	case f.twice:
		text.WriteString("  check     built again in other conditions, and equal\n")
	}
	return text.String()
}

// checked returns errDiffers if a second build had other bytes.
func (b *build) checked() error {
	if len(b.differences) > 0 {
		return errDiffers
	}
	return nil
}

// first returns the output that the report begins with: the first one with the disk, if there is one.
func (f buildFlags) first() *target {
	for _, t := range f.targetList {
		if t.Format.HoldsDisk() {
			return t
		}
	}
	return f.targetList[0]
}

// manifestOf returns the name of a target's manifest for the report, "" if it has none.
func (f buildFlags) manifestOf(t *target) string {
	if f.noManifest || !t.Format.HoldsDisk() {
		return ""
	}
	return t.manifestName()
}

// outputEvents returns all outputs for the report of a build.
func (f buildFlags) outputEvents() (list []event) {
	for _, t := range f.targetList {
		length, onDisk := t.sizes()
		list = append(list, event{"image": t.Name, "format": t.Format.Name, "length": length, "onDisk": onDisk, "manifest": f.manifestOf(t)})
	}
	return list
}

// bootLine returns a command that boots the first output that QEMU reads, "" if there is none.
func (f buildFlags) bootLine(b *build) string {
	for _, t := range f.targetList {
		if t.Format.QEMU != "" && t.to == nil {
			return emulator.Boot{Target: emulator.TargetOf(b.manifest), Image: t.Name, Format: t.Format.QEMU, Export: f.exportBoot, Entries: b.entries}.Line()
		}
	}
	return ""
}
