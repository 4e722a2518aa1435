package envcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"imprint/internal/hosttool"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/tree"
	"imprint/internal/workspace"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func (w World) mount() *cobra.Command {
	var tag string
	var asTree bool
	c := &cobra.Command{
		Use:   "mount NAME DIR",
		Short: "Show the files of an environment in a directory",
		Long: `mount shows the tree of a stack in DIR, an empty directory: read-only, by fuse-overlayfs if the host has it, or by a mount of the kernel for root.
imprint env unmount ends that. Where there is neither, or with --tree, the files are written to DIR, which nobody may change
but root; then rm removes them. Devices and sockets are left out. Other users' files are the caller's.`,
		Args: w.Arguments(2, 2, "a NAME and a DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := empty(args[1]); err != nil {
				return err
			}
			s, e, err := w.find(args[0])
			if err != nil {
				return err
			}
			pin, err := s.Pin(e, tag)
			if err != nil {
				return explained(err)
			}
			release, err := s.Use(c.Context())
			if err != nil {
				return err
			}
			defer release()
			t, err := s.Tree(pin)
			if err != nil {
				return err
			}
			how := "a tree"
			if !asTree {
				lower, err := workspace.Tree(c.Context(), trees(s), objects.Text(pin), t, w.alone())
				if err != nil {
					return err
				}
				if how, err = w.mountTree(c.Context(), lower, args[1]); err != nil {
					return err
				}
			}
			if how == "a tree" {
				if err := w.fill(c.Context(), args[1], t); err != nil {
					return err
				}
			}
			return w.Print("%s: %s is in %s (%s)\n", args[0], short(pin), line(args[1]), how)
		},
	}
	c.Flags().StringVar(&tag, "tag", "", "show the stack of this `tag` (default current)")
	c.Flags().BoolVar(&asTree, "tree", false, "write the files to DIR instead of mounting them")
	return c
}

// mountTree mounts a directory read-only at another one, and returns by what. It is "a tree" where nothing can.
func (w World) mountTree(ctx context.Context, lower, dir string) (how string, err error) {
	if w.UID == 0 {
		err := unix.Mount(lower, dir, "", unix.MS_BIND, "")
		if err == nil {
			if err = unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err == nil {
				return "a mount of the kernel", nil
			}
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				return "", &os.PathError{Op: "unmount", Path: dir, Err: err}
			}
		}
	}
	where, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	// The name of the lower directory is short and relative: options of a mount have to fit in one page.
	_, err = hosttool.Run(ctx, hosttool.Command{Name: "fuse-overlayfs", Args: []string{"-o", "lowerdir=" + filepath.Base(lower), where}, Dir: filepath.Dir(lower)})
	switch {
	case err == nil:
		return "fuse-overlayfs", nil
	case errors.Is(err, hosttool.ErrMissing):
		return "a tree", nil
	case ctx.Err() != nil:
		return "", err
	}
	fmt.Fprintf(w.Stderr, "warning: cannot mount, so the files are copied: %v\n", err)
	return "a tree", nil
}

// alone is the user without subordinate IDs, whose files the user could not read.
func (w World) alone() sandbox.Identity {
	return sandbox.Identity{Root: w.Root(), UID: w.UID, GID: w.GID}
}

// fill writes a tree that its owner may not change either.
func (w World) fill(ctx context.Context, dir string, t *tree.Tree) error {
	r, err := readOnly(t)
	if err != nil {
		return err
	}
	return workspace.Fill(ctx, dir, r, w.alone())
}

// readOnly returns a tree like t without permissions to write, and without set-ID bits: others may reach it.
func readOnly(t *tree.Tree) (*tree.Tree, error) {
	top, attrs := tree.Clone([]*tree.Node{t.Root()})[0], map[*tree.Attr]*tree.Attr{}
	for _, n := range tree.Walk("/", top) {
		if n.Kind() == tree.Link {
			continue
		}
		if attrs[n.Attr] == nil {
			a := *n.Attr
			a.Mode &= 0o555
			attrs[n.Attr] = &a
		}
		n.Attr = attrs[n.Attr]
	}
	b := tree.NewBuilder(top.Attr)
	if err := b.Add("/", top, ""); err != nil {
		return nil, err
	}
	return b.Tree()
}

func (w World) unmount() *cobra.Command {
	return &cobra.Command{
		Use:   "unmount DIR",
		Short: "End a mount of imprint env mount",
		Long:  "unmount ends a mount. What was copied to a directory, because nothing could be mounted, it does not remove.",
		Args:  w.Arguments(1, 1, "a DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if w.UID == 0 {
				if err := unix.Unmount(args[0], unix.UMOUNT_NOFOLLOW); err != nil {
					return &os.PathError{Op: "unmount", Path: args[0], Err: err}
				}
				return nil
			}
			_, err := hosttool.Run(c.Context(), hosttool.Command{Name: "fusermount3", Args: []string{"-u", args[0]}})
			return err
		},
	}
}
