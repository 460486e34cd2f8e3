//! Linked lists of keys, each key in one of them or in none.

const NIL: u32 = u32::MAX;
const NO_LIST: u8 = u8::MAX;

/// A key's neighbours towards the newest and the oldest key of its list.
#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
}

#[derive(Clone, Copy)]
struct Ends {
    newest: u32,
    oldest: u32,
    len: usize,
}

/// Lists numbered from 0, over the keys below a bound.
pub(crate) struct Lists {
    links: Vec<Link>,
    list_of: Vec<u8>,
    ends: Vec<Ends>,
}

impl Lists {
    pub(crate) fn new(count: u8, keys: usize) -> Self {
        let link = Link {
            newer: NIL,
            older: NIL,
        };
        let ends = Ends {
            newest: NIL,
            oldest: NIL,
            len: 0,
        };
        Self {
            links: vec![link; keys],
            list_of: vec![NO_LIST; keys],
            ends: vec![ends; usize::from(count)],
        }
    }

    pub(crate) fn len(&self, list: u8) -> usize {
        self.ends[usize::from(list)].len
    }

    /// The list that a key is in.
    pub(crate) fn list_of(&self, id: u32) -> Option<u8> {
        let list = self.list_of[id as usize];
        (list != NO_LIST).then_some(list)
    }

    pub(crate) fn oldest(&self, list: u8) -> Option<u32> {
        some(self.ends[usize::from(list)].oldest)
    }

    /// The next key towards the newest.
    pub(crate) fn newer(&self, id: u32) -> Option<u32> {
        some(self.links[id as usize].newer)
    }

    /// Adds a key, which is in no list, as the newest one.
    pub(crate) fn push(&mut self, list: u8, id: u32) {
        let ends = &mut self.ends[usize::from(list)];
        let older = ends.newest;
        ends.newest = id;
        ends.len += 1;
        match some(older) {
            Some(older) => self.links[older as usize].newer = id,
            None => ends.oldest = id,
        }
        self.links[id as usize] = Link { newer: NIL, older };
        self.list_of[id as usize] = list;
    }

    /// Removes a key from its list.
    pub(crate) fn remove(&mut self, id: u32) {
        let Link { newer, older } = self.links[id as usize];
        let ends = &mut self.ends[usize::from(self.list_of[id as usize])];
        ends.len -= 1;
        match some(newer) {
            Some(newer) => self.links[newer as usize].older = older,
            None => ends.newest = older,
        }
        match some(older) {
            Some(older) => self.links[older as usize].newer = newer,
            None => ends.oldest = newer,
        }
        self.list_of[id as usize] = NO_LIST;
    }

    /// Removes the oldest key.
    pub(crate) fn pop(&mut self, list: u8) -> Option<u32> {
        let id = self.oldest(list)?;
        self.remove(id);
        Some(id)
    }

    /// Moves a key to the front of a list.
    pub(crate) fn renew(&mut self, list: u8, id: u32) {
        self.remove(id);
        self.push(list, id);
    }

    /// Moves the oldest key of one list to the front of another.
    pub(crate) fn shift(&mut self, from: u8, to: u8) -> Option<u32> {
        let id = self.pop(from)?;
        self.push(to, id);
        Some(id)
    }
}

fn some(id: u32) -> Option<u32> {
    (id != NIL).then_some(id)
}
