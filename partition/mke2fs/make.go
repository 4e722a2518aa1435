package mke2fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"imprint/internal/hosttool"
	"imprint/internal/tree"
)

// features are all features of the file system, whatever the defaults of the host's version. GRUB 2.06 as released does not read
// metadata_csum_seed, and orphan_file helps only a file system that is written to much.
const features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file," +
	"dir_nlink,extra_isize,metadata_csum"

// configs replace the host's /etc/mke2fs.conf and /etc/e2fsck.conf. Without a usage type on its command line mke2fs looks up one by size, and
// warns if the configuration does not have it.
var configs = map[string]string{
	"mke2fs.conf": `[defaults]
	base_features = sparse_super
	default_mntopts = acl,user_xattr
	enable_periodic_fsck = 0
	hash_alg = half_md4
[fs_types]
	ext4 = {
		blocksize = 4096
	}
	imprint = {
		blocksize = 4096
	}
`,
	"e2fsck.conf": fmt.Sprintf("[options]\n\tindexed_dir_slack_percentage = %d\n", dirSlack),
}

// A maker runs the tools on one region of a disk file.
type maker struct {
	*Plan
	scratch *scratch
	image   string // the disk file
	offset  int64
}

// A Writer makes one file system. Every Writer must be closed.
type Writer struct {
	ctx   context.Context
	file  string
	made  maker
	fill  populator
	added int // nodes
}

// Begin starts to fill the region [offset, offset+Size) of the file, which must exist and read as zeros. It needs the host tools mke2fs,
// debugfs and e2fsck; the error of the Writer's methods matches [hosttool.ErrMissing] if one is missing, and ctx's error when ctx ends.
func (p *Plan) Begin(ctx context.Context, file string, offset int64) (*Writer, error) {
	w := &Writer{ctx: ctx, file: file, made: maker{Plan: p, offset: offset}}
	if err := w.begin(); err != nil {
		return nil, w.error(errors.Join(err, w.cleanUp()))
	}
	return w, nil
}

func (w *Writer) begin() (err error) {
	m := &w.made
	if err := m.checkRegion(w.file, m.offset); err != nil {
		return err
	}
	dir := m.opts.Scratch
	if dir == "" {
		dir = filepath.Dir(w.file)
	}
	if m.scratch, err = newScratch(dir); err != nil {
		return err
	}
	if m.image, err = m.scratch.imageName(w.file); err != nil {
		return err
	}
	if err := errors.Join(m.configure(), m.format(w.ctx)); err != nil {
		return err
	}
	w.fill = populator{Plan: m.Plan, run: m.debugfs, scratch: m.scratch}
	w.fill.begin()
	return nil
}

// Add adds the next node of the tree, at its path. content writes the content of a file; it is not called for a further name.
func (w *Writer) Add(path string, n *tree.Node, content func(io.Writer) error) error {
	if n.ID() != w.added {
		return w.error(fmt.Errorf("%s is node %d of the tree, and comes after %d", tree.Shown(path), n.ID(), w.added))
	}
	w.added++
	if w.ctx.Err() != nil {
		return w.error(context.Cause(w.ctx))
	}
	if err := w.fill.node(w.ctx, path, n, content); err != nil {
		return w.error(fmt.Errorf("%s: %w", tree.Shown(path), err))
	}
	return nil
}

// Close finishes the file system, and removes all scratch files in any case. If not all nodes were added it gives up and returns an error.
func (w *Writer) Close() error {
	return w.error(errors.Join(w.end(), w.cleanUp()))
}

func (w *Writer) end() error {
	if w.added < w.made.tree.Len() {
		return fmt.Errorf("given up after %d of %d nodes", w.added, w.made.tree.Len())
	}
	if err := w.fill.end(w.ctx); err != nil {
		return err
	}
	if err := w.made.index(w.ctx); err != nil {
		return err
	}
	return w.made.normalize()
}

func (w *Writer) cleanUp() error {
	w.fill.wait() // its error, if any, follows from an earlier one
	if w.made.scratch == nil {
		return nil
	}
	return w.made.scratch.remove()
}

func (w *Writer) error(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("make ext4: %w", err)
}

func (p *Plan) checkRegion(file string, offset int64) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if offset < 0 || offset%512 != 0 || info.Mode().IsRegular() && info.Size() < offset+p.size {
		return fmt.Errorf("no region of %d bytes there, the file has %d", p.size, info.Size())
	}
	return nil
}

// configure writes the tools' configuration files.
func (m *maker) configure() error {
	for name, text := range configs {
		if err := os.WriteFile(filepath.Join(m.scratch.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// format makes the empty file system. mke2fs writes zeros to inode tables and journal, which become holes in a sparse file, so that the kernel
// need not do so later.
func (m *maker) format(ctx context.Context) error {
	l := m.layout
	_, err := hosttool.Run(ctx, hosttool.Command{Name: "mke2fs", Env: m.env(), Args: []string{
		"-q", "-F", "-t", "ext4", "-T", "imprint", "-o", "Linux", "-e", "continue",
		"-b", strconv.Itoa(blockSize), "-I", strconv.Itoa(inodeSize), "-m", "0", "-G", "16",
		"-g", strconv.FormatInt(l.perGroup, 10), "-N", strconv.FormatInt(l.inodes, 10),
		"-J", "size=" + strconv.FormatInt(l.journal*blockSize>>20, 10),
		"-O", features, "-U", m.opts.UUID.String(), "-L", m.opts.Label,
		// One -E: of several, only the last counts.
		"-E", fmt.Sprintf("offset=%d,hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard", m.offset, m.opts.HashSeed),
		m.image, strconv.FormatInt(l.blocks, 10),
	}})
	if err != nil {
		return err
	}
	return m.checkFormat()
}

// debugfs runs one script.
func (m *maker) debugfs(ctx context.Context, s *script) error {
	r, err := hosttool.Run(ctx, hosttool.Command{Name: "debugfs", Args: []string{"-w", "-f", "-", m.region()}, Env: m.env(),
		Stdin: strings.NewReader(string(s.input())), Merge: true, Limit: s.transcriptSize() + 1<<20})
	var exit *hosttool.ExitError
	if errors.As(err, &exit) {
		exit.Stderr = complaints(exit.Stderr)
	}
	if err != nil {
		return err
	}
	return s.check(r.Output)
}

// index sorts every directory into a tree of hashes and checks the whole file system. e2fsck returns 1 after a change. Only directories may
// have changed: it prints a line for every other change.
func (m *maker) index(ctx context.Context) error {
	args := []string{"-f", "-D", "-y", "-E", "no_optimize_extents", m.region()}
	r, err := hosttool.Run(ctx, hosttool.Command{Name: "e2fsck", Args: args, Env: m.env(), Merge: true})
	var exit *hosttool.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.Code == 1) {
		return err
	}
	for said := range strings.Lines(string(r.Output)) {
		if said = strings.TrimSpace(said); said != "" && !fsckRoutine.MatchString(said) {
			return fmt.Errorf("e2fsck found in what debugfs made: %s", said)
		}
	}
	if !bytes.Contains(r.Output, []byte("Pass 5: ")) {
		return fmt.Errorf("e2fsck ended without an error before its last pass: %.200q", r.Output)
	}
	return nil
}

// fsckRoutine matches the lines that e2fsck prints if nothing is wrong.
var fsckRoutine = regexp.MustCompile(`^(e2fsck [0-9].*|Pass [1-5]A?: .*|.*: \*{5} FILE SYSTEM WAS MODIFIED \*{5}|.*: \d+/\d+ files \(.*\), \d+/\d+ blocks)$`)

// region names the region as libext2fs takes it.
func (m *maker) region() string { return fmt.Sprintf("%s?offset=%d", m.image, m.offset) }

// env is the tools' environment.
func (m *maker) env() []string {
	now := strconv.FormatInt(toolTime(m.opts.Epoch), 10)
	conf := func(name string) string { return filepath.Join(m.scratch.dir, name) }
	return []string{"E2FSPROGS_FAKE_TIME=" + now, "E2FSCK_TIME=" + now,
		"MKE2FS_CONFIG=" + conf("mke2fs.conf"), "E2FSCK_CONFIG=" + conf("e2fsck.conf"), "MKE2FS_SYNC=0"}
}

// toolTime is the current time for the tools: the epoch if possible. They keep 31 bits of it, and take 0 for the time of the clock.
func toolTime(epoch int64) int64 {
	if epoch > 0 && epoch <= math.MaxInt32 {
		return epoch
	}
	return 1
}
