//! How full the tables are.

/// Entries in use now. All zero when every link is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Links.
    pub links: u32,
    /// Links that are bound to a path.
    pub paths: u32,
    /// Layers.
    pub layers: u32,
    /// Routes.
    pub routes: u32,
    /// Switches that wait for a keyframe.
    pub switches: u32,
    /// Packets a publisher is asked for again.
    pub missing: u32,
}
