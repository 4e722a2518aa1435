package db

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// makeLog is a log with small pages in the given byte order, whose frames are those of a text: for each two bytes, the number of a page and
// the size of the database after it if it ends a transaction, else 0.
func makeLog(order binary.ByteOrder, frames string) string {
	const pageSize = 512
	magic := uint32(0x377f0682)
	if order == binary.BigEndian {
		magic++
	}
	sum := checksum{order: order}
	log := make([]byte, walHeaderSize)
	for i, v := range []uint32{magic, 3007000, pageSize, 0, 0xaaaaaaaa, 0xbbbbbbbb} {
		binary.BigEndian.PutUint32(log[4*i:], v)
	}
	sum.add(log[:24])
	sum.put(log[24:])
	for i := 0; i+1 < len(frames); i += 2 {
		frame := make([]byte, frameHeaderSize+pageSize)
		frame[3], frame[7] = frames[i], frames[i+1]
		copy(frame[8:], log[16:24])
		frame[frameHeaderSize] = byte(i)
		sum.add(frame[:8])
		sum.add(frame[frameHeaderSize:])
		sum.put(frame[16:])
		log = append(log, frame...)
	}
	return string(log)
}

func (c *checksum) put(b []byte) {
	binary.BigEndian.PutUint32(b, c.s0)
	binary.BigEndian.PutUint32(b[4:], c.s1)
}

func TestReadWAL(t *testing.T) {
	for _, c := range []struct {
		frames, damage string
		most           uint32
		want           string // pages of the database, frames, and page:frame
	}{
		{"", "", 9, "0 0"},
		{"\x01\x00\x02\x05", "", 9, "5 2 1:0 2:1"},
		{"\x01\x02\x01\x03\x02\x00", "", 9, "3 2 1:1"}, // the last frame is not committed
		{"\x01\x02\x01\x03\x02\x04", "", 1, "2 1 1:0"},
		{"\x01\x02\x00\x03", "", 9, "2 1 1:0"}, // there is no page 0
		{"\x01\x02\x02\x03", "x", 9, "2 1 1:0"},
	} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			log := makeLog(order, c.frames)
			if c.damage != "" {
				log = log[:len(log)-1] + c.damage
			}
			x, err := readWAL(strings.NewReader(log), int64(len(log)), c.most)
			if err != nil {
				t.Fatal(err)
			}
			got := strconv.FormatInt(x.pages, 10) + " " + strconv.FormatUint(uint64(x.frames), 10)
			for page := range uint32(10) {
				if at, ok := x.content[page]; ok {
					frame := (at - walHeaderSize - frameHeaderSize) / (frameHeaderSize + x.pageSize)
					got += " " + strconv.Itoa(int(page)) + ":" + strconv.FormatInt(frame, 10)
				}
			}
			if got != c.want {
				t.Errorf("%q with %q in %v: %s, want %s", c.frames, c.damage, order, got, c.want)
			}
		}
	}
}

// The index of any log lies within it. The input is short, since Go takes minutes to shorten one of a thousand bytes: frames as for makeLog,
// what is written over the log, and where it is cut off.
func FuzzReadWAL(f *testing.F) {
	body := func(t testing.TB, frames string, at uint16, patch string, length uint16, most uint32) {
		b := []byte(makeLog(native, frames[:min(len(frames), 12)]))
		copy(b[int(at)%len(b):], patch)
		b = b[:min(int(length), len(b))]
		x, err := readWAL(bytes.NewReader(b), int64(len(b)), most)
		if err != nil {
			t.Fatal(err)
		}
		if x.frames > most {
			t.Errorf("%d frames of at most %d", x.frames, most)
		}
		for page, at := range x.content {
			if page == 0 || at < walHeaderSize || at+x.pageSize > int64(len(b)) {
				t.Errorf("page %d at %d of %d", page, at, len(b))
			}
		}
	}
	f.Add("\x01\x00\x02\x05", uint16(0), "", uint16(9999), uint32(9))
	f.Add("\x01\x01", uint16(3), "\x82", uint16(9999), uint32(1))
	f.Add("", uint16(8), "\x00\x00\xff\xff", uint16(31), uint32(1))
	hosttest.Quick(f, func() { body(f, "\x01\x00\x02\x05", 40, "x", 9999, 9) })
	f.Fuzz(func(t *testing.T, frames string, at uint16, patch string, length uint16, most uint32) {
		body(t, frames, at, patch, length, most)
	})
}

// Any frames with right checksums are indexed: the last committed one of each page.
func FuzzFrames(f *testing.F) {
	body := func(t testing.TB, frames string) {
		log := makeLog(native, frames)
		x, err := readWAL(strings.NewReader(log), int64(len(log)), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		want, committed := map[uint32]int{}, 0
		for i := 0; i+1 < len(frames) && frames[i] != 0; i += 2 {
			if frames[i+1] == 0 {
				continue
			}
			for ; committed <= i; committed += 2 {
				want[uint32(frames[committed])] = committed / 2
			}
		}
		if int(x.frames) != committed/2 || len(x.content) != len(want) {
			t.Fatalf("%d frames of %d pages, want %d of %d", x.frames, len(x.content), committed/2, len(want))
		}
		for page, n := range want {
			if at := walHeaderSize + n*(frameHeaderSize+512) + frameHeaderSize; x.content[page] != int64(at) {
				t.Errorf("page %d at %d, want %d", page, x.content[page], at)
			}
		}
	}
	f.Add("\x01\x02\x03\x00\x01\x04")
	hosttest.Quick(f, func() { body(f, "\x01\x02\x03\x00\x01\x04") })
	f.Fuzz(func(t *testing.T, frames string) { body(t, frames[:min(len(frames), 64)]) })
}

// The header of an index is taken only if it is there twice, with the right checksum.
func FuzzLogState(f *testing.F) {
	header := make([]byte, 48)
	header[12] = 1
	native.PutUint32(header[16:], 77)
	copy(header[32:], "saltsalt")
	sum := checksum{order: native}
	sum.add(header[:40])
	native.PutUint32(header[40:], sum.s0)
	native.PutUint32(header[44:], sum.s1)
	whole := string(header) + string(header)
	if s, ok, err := readLogState(strings.NewReader(whole)); !ok || err != nil || s.frames != 77 || string(s.salts[:]) != "saltsalt" {
		f.Fatalf("%+v, %v, %v", s, ok, err)
	}
	body := func(t testing.TB, at uint8, change byte, length uint8) {
		b := []byte(whole)
		b[int(at)%len(b)] ^= change
		short := int(length) < len(b)
		_, ok, err := readLogState(strings.NewReader(string(b[:min(int(length), len(b))])))
		if err != nil || ok != (change == 0 && !short) {
			t.Errorf("byte %d changed by %#x, of %d bytes: %v, %v", at, change, length, ok, err)
		}
	}
	f.Add(uint8(17), byte(1), uint8(200))
	f.Add(uint8(0), byte(0), uint8(200))
	f.Add(uint8(0), byte(0), uint8(95))
	hosttest.Quick(f, func() { body(f, 17, 1, 200) })
	f.Fuzz(func(t *testing.T, at uint8, change byte, length uint8) { body(t, at, change, length) })
}

// Whatever rows hold, items are bounded, their references and outputs sorted and distinct, and errors printable.
func FuzzRows(f *testing.F) {
	hash := "sha256:" + strings.Repeat("0a", 32)
	body := func(t testing.TB, path, hash, rest string, size int64) {
		r := &reader{texts: map[string]string{}}
		part := strings.SplitN(rest+"\n\n\n", "\n", 4)
		item, err := r.item(pathRow{[]byte(path), []byte(hash), []byte(part[0]), []byte(part[1]), []byte(part[2]), size}, "/nix/store/x")
		for _, row := range strings.Split(part[3], "\n") {
			id, path, output := strings.Cut(row, "=")
			switch {
			case err != nil:
			case output:
				err = r.output(item, []byte(id), []byte(path))
			default:
				err = r.reference(item, []byte(row))
			}
		}
		if err == nil {
			err = item.finish()
		}
		if err != nil {
			if text := err.Error(); text != printable(text) || len(text) > 2000 {
				t.Errorf("error %q", text)
			}
			return
		}
		if path != item.Path || item.NARSize <= 0 || len(item.Deriver) > maxPath || len(strings.Join(item.Sigs, " ")) > maxSigs {
			t.Errorf("%+v", item)
		}
	}
	f.Add("/nix/store/x", hash, "/nix/store/d\nkey:sig key:sig\nfixed:r:sha256:0\nref\nref\nout=/nix/store/o", int64(112))
	f.Add("/nix/store/y\x1b[2J", hash, "", int64(112))
	f.Add("/nix/store/x", "md5:\x00\n", "", int64(-1))
	hosttest.Quick(f, func() { body(f, "/nix/store/x", hash, "d\ns\nc\nr\no=p", 112) })
	f.Fuzz(func(t *testing.T, path, hash, rest string, size int64) { body(t, path, hash, rest, size) })
}
